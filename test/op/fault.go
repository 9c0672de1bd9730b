package op

import (
	"fmt"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Duration is a time.Duration that reads and writes as "250ms" in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Fault is what happens to a POST at the token endpoint, in the order of its
// fields. The zero Fault is none.
//
// What stands before Edit strikes before anything is consumed, Edit and what
// follows it after: only a Fault whose Unsent, CutBefore and Status are zero
// consumes the grant.
type Fault struct {
	// Name is what the ledger calls it ([Received].Fault); it does nothing.
	Name string `json:"name,omitempty"`
	// GrantType is refresh_token or authorization_code; empty means both. Each
	// of the three has one fault, and the one with a name goes first.
	GrantType string `json:"grant_type,omitempty"`
	// Times is how many POSTs it strikes; 0 is every one until it is cleared.
	Times int `json:"times,omitempty"`
	// Delay passes before anything else. The POST is then handled, whether or
	// not its caller still waits.
	Delay Duration `json:"delay,omitempty"`
	// DelayMax, if not 0, makes the delay a random one from Delay up to it, both
	// included. It follows from [Options].Seed and the number of the POST alone.
	DelayMax Duration `json:"delay_max,omitempty"`
	// Unsent fails the request before a byte of it is written: nothing arrives.
	// It is for [Provider.RoundTripper]; over a network, where it is too late for
	// that, the answer is 501 and nothing is consumed.
	Unsent Unsent `json:"unsent,omitempty"`
	// HoldBefore waits for [Provider.Release] before anything is consumed. If
	// the caller's connection closes first, the POST is dropped unhandled.
	HoldBefore bool `json:"hold_before,omitempty"`
	// CutBefore closes the connection without an answer, and nothing is consumed.
	CutBefore bool `json:"cut_before,omitempty"`
	// Status, if not 0, is answered with Header and Body, and nothing is
	// consumed. Header goes over what would be there, which is a Content-Type:
	// JSON if Body is.
	Status int               `json:"status,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	// Edit changes an answer that holds tokens: they are good, and the grant they
	// were given for is consumed.
	Edit *Edit `json:"edit,omitempty"`
	// Pad appends spaces to whatever is answered until it is this many bytes.
	Pad int `json:"pad,omitempty"`
	// HoldAfter waits for [Provider.Release] with the answer ready, and the
	// token consumed.
	HoldAfter bool `json:"hold_after,omitempty"`
	// CutAfter closes the connection with the answer ready, and the token
	// consumed.
	CutAfter bool `json:"cut_after,omitempty"`
	// Drip sends the header at once and the body byte by byte, each after this
	// long.
	Drip Duration `json:"drip,omitempty"`
}

const maxPad = 64 << 20

func (f Fault) validate() error {
	switch f.GrantType {
	case "", string(oidc.GrantTypeCode), string(oidc.GrantTypeRefreshToken):
	default:
		return fmt.Errorf("grant type %q is not authorization_code, refresh_token or empty", f.GrantType)
	}
	if f.Times < 0 || f.Delay < 0 || f.Drip < 0 {
		return fmt.Errorf("times %d, delay %v and drip %v must not be negative", f.Times, time.Duration(f.Delay), time.Duration(f.Drip))
	}
	if f.DelayMax != 0 && f.DelayMax < f.Delay {
		return fmt.Errorf("delay_max %v is less than delay %v", time.Duration(f.DelayMax), time.Duration(f.Delay))
	}
	if f.Status == 0 && (f.Body != "" || len(f.Header) > 0) {
		return fmt.Errorf("body and header need a status; those of a consumed answer are in edit")
	}
	if f.Pad < 0 || f.Pad > maxPad {
		return fmt.Errorf("pad %d is not 0 to %d", f.Pad, maxPad)
	}
	if err := validAnswer(f.Status, f.Header); err != nil {
		return err
	}
	if err := f.Unsent.validate(); err != nil {
		return err
	}
	if f.Edit != nil {
		return f.Edit.validate()
	}
	return nil
}

// validAnswer checks what net/http would panic at, or send something else for.
func validAnswer(status int, header map[string]string) error {
	if status != 0 && (status < 200 || status > 599) {
		return fmt.Errorf("status %d is not 200 to 599", status)
	}
	for name, value := range header {
		if name == "" || strings.ContainsAny(name+value, "\r\n") || strings.ContainsAny(name, " :") {
			return fmt.Errorf("header %q: %q cannot be sent", name, value)
		}
	}
	return nil
}
