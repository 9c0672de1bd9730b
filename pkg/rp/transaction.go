package rp

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/lamplighter/lamplighter/pkg/cookie"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// LoginCookiePrefix begins the name of every cookie of this package but the
// session's own. They are for the relying party alone: strip them upstream.
const LoginCookiePrefix = "__Host-bff_login_"

const (
	attemptTime = 10 * time.Minute
	maxAttempts = 5    // cookies a browser holds at once
	tagLen      = 8    // of a state, which names its cookie
	maxValue    = 3900 // browsers take 4096 bytes of name and value
)

// attempt is one login under way, as its cookie remembers it.
type attempt struct {
	state    session.Secret // tag.random
	nonce    session.Secret
	verifier session.Secret // PKCE, RFC 7636 section 4.1
	returnTo string
	began    time.Time
}

// sealedAttempt is an attempt inside the box.
type sealedAttempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	ReturnTo string `json:"r"`
	Began    int64  `json:"t"` // Unix milliseconds
}

func newAttempt(returnTo string, now time.Time) attempt {
	return attempt{
		state:    session.NewSecret(rand.Text()[:tagLen] + "." + rand.Text()),
		nonce:    session.NewSecret(rand.Text()),
		verifier: session.NewSecret(oauth2.GenerateVerifier()),
		returnTo: returnTo,
		began:    now.Round(0),
	}
}

func (a attempt) cookieName() string { return LoginCookiePrefix + a.state.Reveal()[:tagLen] }

// cookieOf names the cookie of a state. The state comes from outside.
func cookieOf(state string) (name string, ok bool) {
	tag, random, found := strings.Cut(state, ".")
	if !found || !isTag(tag) || len(random) != len(rand.Text()) {
		return "", false
	}
	return LoginCookiePrefix + tag, true
}

func isTag(s string) bool {
	return len(s) == tagLen && !strings.ContainsFunc(s, func(c rune) bool { return !(c >= 'A' && c <= 'Z' || c >= '2' && c <= '7') })
}

// seal binds the value to the cookie's name, so that one cookie of ours cannot
// be passed off as another.
func (p *RP) seal(name string, v any) (string, error) {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false) // six bytes for every & of a query
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("seal %s: %w", LoginCookiePrefix, err)
	}
	return base64.RawURLEncoding.EncodeToString(p.box.Seal(plain.Bytes(), []byte(name))), nil
}

func (p *RP) open(name, value string, v any) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return false
	}
	plain, err := p.box.Open(sealed, []byte(name))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// remember builds the cookie of a. A return path that would make it too big for
// browsers is given up.
func (p *RP) remember(a attempt) (*http.Cookie, error) {
	s := sealedAttempt{
		State: a.state.Reveal(), Nonce: a.nonce.Reveal(), Verifier: a.verifier.Reveal(),
		ReturnTo: a.returnTo, Began: a.began.UnixMilli(),
	}
	value, err := p.seal(a.cookieName(), s)
	if err == nil && len(value) > maxValue {
		s.ReturnTo = "/"
		value, err = p.seal(a.cookieName(), s)
	}
	if err != nil {
		return nil, err
	}
	return cookie.Session(a.cookieName(), value, attemptTime, ""), nil
}

func (p *RP) openAttempt(name, value string) (attempt, bool) {
	var s sealedAttempt
	if !p.open(name, value, &s) {
		return attempt{}, false
	}
	return attempt{
		state: session.NewSecret(s.State), nonce: session.NewSecret(s.Nonce), verifier: session.NewSecret(s.Verifier),
		returnTo: s.ReturnTo, began: time.UnixMilli(s.Began),
	}, true
}

// recall finds the attempt that a state belongs to in the browser it began in.
func (p *RP) recall(r *http.Request, state string, now time.Time) (attempt, bool) {
	name, ok := cookieOf(state)
	if !ok {
		return attempt{}, false
	}
	for value := range cookies(r).Find(name) {
		a, ok := p.openAttempt(name, value)
		if ok && a.state.Equal(session.NewSecret(state)) && now.Sub(a.began) < attemptTime {
			return a, true
		}
	}
	return attempt{}, false
}

// surplus names the attempt cookies that must go before one more is set: the
// oldest, and first of all those that do not open.
func (p *RP) surplus(r *http.Request) []string {
	began := make(map[string]time.Time)
	isAttempt := func(name string) bool {
		tag, ours := strings.CutPrefix(name, LoginCookiePrefix)
		return ours && isTag(tag)
	}
	for name, value := range cookies(r).Match(isAttempt) {
		a, _ := p.openAttempt(name, value)
		began[name] = a.began
	}
	names := make([]string, 0, len(began))
	for name := range began {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(began[b].Compare(began[a]), cmp.Compare(a, b)) })
	return names[min(len(names), maxAttempts-1):]
}

// cookies are the Cookie lines of r. Whoever has a comma-joined header must take
// it apart first.
func cookies(r *http.Request) cookie.Header { return cookie.Raw(r.Header.Values("Cookie")) }
