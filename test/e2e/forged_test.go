package e2e

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// identityHeaders are those of the config below. This provider tells lamplighter no
// department, nor email and name without their scopes: what is not set must not
// come from a client either.
var identityHeaders = []string{"X-User-ID", "X-User-Email", "X-User-Name", "X-Auth-Time", "X-Session-ID", "X-Department"}

const identityConfig = `
headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name, auth_time: X-Auth-Time, session_id: X-Session-ID, claims: {department: X-Department}}
rules: [{match: {path_prefix: /public/}, session: none}]`

// spellings of a header: servers that hand headers on as variables read them alike.
func spellings(name string) (all []string) {
	for _, separators := range []string{"-", "_", ".", "!", "_-", "-_", ".-"} {
		words := strings.Split(name, "-")
		spelling := words[0]
		for i, word := range words[1:] {
			spelling += string(separators[i%len(separators)]) + word
		}
		all = append(all, strings.ToLower(spelling), strings.ToUpper(spelling))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const forgery = "forged-by-a-client"

// Whatever a client sends as identity or authorization, in whatever spelling, on
// whatever route and protocol, does not reach the app.
func TestForgedHeadersNeverReachTheApp(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap, Config: identityConfig, AccessTokenLife: time.Hour})
			b := s.Browser(t)
			bearer := b.Login("/", "ada").Bearer(t)
			session := "cookie: " + sessionCookie + "=" + b.Cookie(sessionCookie)
			for _, name := range append([]string{"Authorization"}, identityHeaders...) {
				for _, spelling := range spellings(name) {
					for label, send := range map[string]wire{"HTTP/1.1 ": http1, "HTTP/2 ": prior} {
						f := forged{t, s, send, label + spelling, forgeries(spelling)}
						if label == "HTTP/2 " && spelling != strings.ToLower(spelling) {
							continue // see the next test
						}
						// Envoy itself refuses some, before anybody is asked.
						refused := bootstrap == envoytest.Shipped && strings.Contains(spelling, "_")
						f.allowed(bearer, session, refused)
						f.public(session, refused)
						f.denied(refused)
					}
				}
			}
		})
	}
}

// forgeries is the header twice: with one value a server may read the first or
// the last.
func forgeries(spelling string) []string {
	return []string{spelling + ": Bearer " + forgery, spelling + ": " + forgery}
}

// HTTP/2 has no upper case (RFC 9113 section 8.2.1): Envoy ends the connection.
func TestUpperCaseOverHTTP2NeverReachesTheApp(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap, Config: identityConfig})
			b := s.Browser(t)
			b.Login("/", "ada")
			session := "cookie: " + sessionCookie + "=" + b.Cookie(sessionCookie)
			before := s.App.Requests()
			var all sync.WaitGroup
			for _, name := range append([]string{"Authorization"}, identityHeaders...) {
				for _, spelling := range spellings(name) {
					if spelling == strings.ToLower(spelling) {
						continue
					}
					for _, target := range []string{"/private", "/public/page"} {
						all.Go(func() {
							if a, err := prior(t, s, http.MethodGet, target, append(forgeries(spelling), session)...); err == nil {
								t.Errorf("%s at %s: answered %d", spelling, target, a.Status)
							}
						})
					}
				}
			}
			all.Wait()
			if got := s.App.Requests() - before; got != 0 {
				t.Errorf("%d requests reached the app", got)
			}
		})
	}
}

// forged is one spelling over one protocol.
type forged struct {
	t     *testing.T
	s     *stack.Stack
	send  wire
	label string
	lines []string
}

func (f forged) allowed(bearer, session string, refused bool) {
	f.t.Helper()
	got := f.app(refused, "/private", append([]string{session}, f.lines...)...)
	if got == nil {
		return
	}
	if !slices.Equal(got["authorization"], []string{"Bearer " + bearer}) {
		f.t.Errorf("%s: authorization at the app is not the session's", f.label)
	}
	for _, name := range []string{"x-user-id", "x-auth-time", "x-session-id"} {
		if len(got[name]) != 1 {
			f.t.Errorf("%s: %d lines of %s at the app, want ours", f.label, len(got[name]), name)
		}
	}
}

func (f forged) public(session string, refused bool) {
	f.t.Helper()
	got := f.app(refused, "/public/page", append([]string{session}, f.lines...)...)
	for name := range got {
		for _, guarded := range append([]string{"Authorization"}, identityHeaders...) {
			if slices.Contains(spellings(guarded), name) {
				f.t.Errorf("%s: the app saw %s on a public route", f.label, name)
			}
		}
	}
}

func (f forged) denied(refused bool) {
	f.t.Helper()
	before := f.s.App.Requests()
	a, err := f.send(f.t, f.s, http.MethodGet, "/private", f.lines...)
	if f.s.App.Requests() != before {
		f.t.Errorf("%s: without a session it reached the app", f.label)
	}
	if !refused && (err != nil || a.Status != http.StatusUnauthorized) {
		f.t.Errorf("%s: without a session %d, %v, want 401", f.label, a.Status, err)
	}
}

// app is what the app saw; nil if Envoy refused, as expected.
func (f forged) app(refused bool, target string, lines ...string) map[string][]string {
	f.t.Helper()
	before := f.s.App.Requests()
	a, err := f.send(f.t, f.s, http.MethodGet, target, lines...)
	if refused {
		if f.s.App.Requests() != before {
			f.t.Errorf("%s: reached the app at %s, though Envoy refuses such names", f.label, target)
		}
		return nil
	}
	if err != nil || a.Status != http.StatusOK {
		f.t.Errorf("%s: %s answered %d, %v, want 200", f.label, target, a.Status, err)
		return nil
	}
	got := a.Echo(f.t).Headers
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), forgery) {
			f.t.Errorf("%s: the client's value reached %s as %s", f.label, target, name)
		}
		if strings.Contains(strings.Join(values, " "), "__Host-bff") {
			f.t.Errorf("%s: a cookie of ours reached %s", f.label, target)
		}
	}
	return got
}
