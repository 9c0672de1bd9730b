package op

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// token is the token endpoint: the ledger and the faults, around the library.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // RFC 6749 section 3.2; the library takes GET
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "the token endpoint takes POST", http.StatusMethodNotAllowed)
		return
	}
	seq := p.storage.arrived()
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	grant := grantType(r.FormValue("grant_type"))
	p.storage.entry(seq, func(e *Received) { e.GrantType = grant })

	fault := p.faults.strike(grant)
	// A POST that is dropped gets no answer, for any would be a lie: its
	// connection is cut.
	if fault.Delay > 0 && !p.delay(time.Duration(fault.Delay)) {
		p.storage.entry(seq, func(e *Received) { e.Error = Dropped })
		panic(http.ErrAbortHandler)
	}
	if fault.HoldBefore && !p.hold(r.Context(), seq, Dropped) {
		panic(http.ErrAbortHandler)
	}
	var a *answer
	switch {
	case fault.Status != 0:
		a = refuse(fault.Status, fault.Body)
	case err != nil:
		a = refuse(http.StatusBadRequest, `{"error":"invalid_request"}`)
	default:
		a = p.exchange(r, seq)
	}
	p.storage.entry(seq, func(e *Received) { e.Status, e.Error = a.status, a.errorCode() })
	if fault.HoldAfter && !p.hold(r.Context(), seq, "") {
		panic(http.ErrAbortHandler) // the answer is lost
	}
	a.writeTo(w)
}

// exchange hands the request to the library. It runs to its end even if the
// caller is gone: a consumed token has its successor.
func (p *Provider) exchange(r *http.Request, seq int) *answer {
	var i issue
	ctx := context.WithValue(context.WithoutCancel(r.Context()), issueKey{}, &i)
	a := newAnswer()
	p.library.ServeHTTP(a, r.WithContext(ctx))
	p.storage.entry(seq, func(e *Received) { e.Family, e.Generation = i.family, i.generation })
	if i.life > 0 && a.status == http.StatusOK {
		if err := a.setExpiresIn(i); err != nil {
			return refuse(http.StatusInternalServerError, `{"error":"server_error"}`)
		}
	}
	return a
}

func grantType(asked string) string {
	switch asked {
	case string(oidc.GrantTypeCode), string(oidc.GrantTypeRefreshToken):
		return asked
	}
	return OtherGrant
}

func refuse(status int, body string) *answer {
	a := newAnswer()
	kind := "text/plain; charset=utf-8"
	if json.Valid([]byte(body)) {
		kind = "application/json"
	}
	a.header.Set("Content-Type", kind)
	a.status = status
	a.body.WriteString(body)
	return a
}

// setExpiresIn writes the life the token really got. The library computes it
// from the clock a moment later and truncates: 59 of 60.
func (a *answer) setExpiresIn(i issue) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.body.Bytes(), &fields); err != nil {
		return fmt.Errorf("read token answer: %w", err)
	}
	delete(fields, "expires_in")
	if !i.omitLife {
		fields["expires_in"] = fmt.Append(nil, int64(i.life/time.Second))
	}
	a.body.Reset()
	if err := json.NewEncoder(&a.body).Encode(fields); err != nil {
		return fmt.Errorf("write token answer: %w", err)
	}
	a.header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	return nil
}

// errorCode is the answer's error (RFC 6749 section 5.2), for the ledger: only
// lower-case letters and underscores, so no value can pass for a code.
func (a *answer) errorCode() string {
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.body.Bytes(), &body) != nil || len(body.Error) > 40 {
		return ""
	}
	for _, c := range body.Error {
		if c != '_' && (c < 'a' || c > 'z') {
			return ""
		}
	}
	return body.Error
}
