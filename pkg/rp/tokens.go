package rp

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// tokens is a successful answer (RFC 6749 section 5.1).
type tokens struct {
	access    session.AccessToken
	refresh   session.RefreshToken // zero: none given
	id        session.IDToken      // zero: none given; unverified
	life      time.Duration
	lifeKnown bool // the OP gave a usable expires_in
}

// object is the members of one JSON object.
type object map[string]json.RawMessage

// members reads the body as one JSON object with nothing after it. Which of two
// members of the same name counts is undefined (RFC 8259 section 4), so there
// must not be any.
func members(r reply) (object, bool) {
	if !r.whole || !utf8.Valid(r.body) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	o := object{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		if _, twice := o[name]; twice {
			return nil, false
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return o, true
}

// text is the member as a string, or empty.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return ""
	}
	return s
}

// given: there, and neither null nor the empty string, which some OPs write for
// "none".
func (o object) given(name string) bool {
	v := string(o[name])
	return v != "" && v != "null" && v != `""`
}

// tokens takes what can be used. An absent token_type is taken for Bearer:
// refusing it would throw the spent token's successor away.
func (o object) tokens() (tokens, bool) {
	access, refresh := o.text("access_token"), o.text("refresh_token")
	if access == "" || !visible(access, '!') {
		return tokens{}, false
	}
	if o.given("token_type") && !strings.EqualFold(o.text("token_type"), "Bearer") {
		return tokens{}, false
	}
	if o.given("refresh_token") && (refresh == "" || !visible(refresh, ' ')) {
		return tokens{}, false
	}
	t := tokens{
		access:  session.AccessToken{Secret: session.NewSecret(access)},
		refresh: session.RefreshToken{Secret: session.NewSecret(refresh)},
	}
	if o.given("id_token") {
		id := o.text("id_token")
		if id == "" {
			id = "unreadable" // there is one, and it will not verify
		}
		t.id = session.IDToken{Secret: session.NewSecret(id)}
	}
	if t.life, t.lifeKnown = lifetime(o["expires_in"]); !t.lifeKnown {
		t.life = session.DefaultLifetime
	}
	return t, true
}

// visible: ASCII from least to ~. Tokens are VSCHAR (RFC 6749 appendix A); an
// access token becomes a header value's last word and so has no space either.
func visible(s string, least byte) bool {
	for i := range len(s) {
		if s[i] < least || s[i] > '~' {
			return false
		}
	}
	return true
}

// lifetime reads expires_in, a number of seconds or a string that holds one.
func lifetime(raw json.RawMessage) (time.Duration, bool) {
	text := string(bytes.TrimSpace(raw))
	if strings.HasPrefix(text, `"`) {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return 0, false
		}
		text = strings.TrimSpace(s)
	}
	var n json.Number
	if text == "" || strings.HasPrefix(text, `"`) || json.Unmarshal([]byte(text), &n) != nil || n == "" {
		return 0, false // ParseFloat alone would take inf, nan and 0x1p9
	}
	seconds, _ := strconv.ParseFloat(n.String(), 64) // out of range: ±Inf, which session.Lifetime knows
	return session.Lifetime(seconds)
}
