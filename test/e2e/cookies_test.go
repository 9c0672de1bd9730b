package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// ours stands for the session cookie in the tables of this file.
const ours = "OURS"

// The app's own cookies, however odd, arrive byte for byte, and ours never.
func TestOtherCookiesArriveByteForByte(t *testing.T) {
	t.Parallel()
	tests := []struct{ sent, want string }{
		{"OURS", ""},
		{"a=1; OURS; b=2", "a=1; b=2"},
		{"OURS; a=1", "a=1"},
		{"a=1;OURS", "a=1"},
		{`quoted="x y"; OURS; half="; lone="`, `quoted="x y"; half="; lone="`},
		{"spaces=a  b ; pad = x; OURS; tab=a\tb", "spaces=a  b ; pad = x; tab=a\tb"},
		{"empty=; OURS; none; =nameless", "empty=; none; =nameless"},
		{"equals=a=b==; OURS; only==", "equals=a=b==; only=="},
		{"twice=1; twice=2; OURS; twice=1; Twice=3", "twice=1; twice=2; twice=1; Twice=3"},
		{"note=__Host-bff_session=planted; OURS", "note=__Host-bff_session=planted"},
		{"__Host-bff_sessions=1; OURS; x__Host-bff_session=2; __host-bff_session=3", "__Host-bff_sessions=1; x__Host-bff_session=2; __host-bff_session=3"},
		{"comma=1,2,3; OURS; json={\"a\":[1,2]}", "comma=1,2,3; json={\"a\":[1,2]}"},
		{"accent=é; OURS; percent=%00%3B%zz", "accent=é; percent=%00%3B%zz"},
		{"punctuation=!#$&'()*+-./:<>?@[]^_`|~; OURS", "punctuation=!#$&'()*+-./:<>?@[]^_`|~"},
		{"a=1; OURS; OURS; b=2; OURS", "a=1; b=2"},
		{"__Host-bff_login_ABCDEFGH=x; OURS; __Host-bff_login_recent=y; a=1", "a=1"},
		{"long=" + strings.Repeat("0123456789abcdef", 500) + "; OURS", "long=" + strings.Repeat("0123456789abcdef", 500)},
	}
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap})
			b := s.Browser(t)
			b.Login("/", "ada")
			mine := sessionCookie + "=" + b.Cookie(sessionCookie)
			for _, tt := range tests {
				for name, send := range map[string]wire{"HTTP/1.1": http1, "HTTP/2": prior} {
					a := send.send(t, s, http.MethodGet, "/", "cookie: "+strings.ReplaceAll(tt.sent, ours, mine))
					var want []string
					if tt.want != "" {
						want = []string{tt.want}
					}
					a.Bearer(t)
					if got := a.Echo(t).Headers["cookie"]; !slices.Equal(got, want) {
						t.Errorf("%s %s: the app saw %q, want %q", name, tt.sent, got, want)
					}
				}
			}
		})
	}
}

// Several Cookie lines in one request, as RFC 9113 section 8.2.3 lets proxies
// make them.
func TestSeveralCookieLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sent []string
		want string
		bare string // where it differs: without raw headers Envoy joins lines by a comma
	}{
		{sent: []string{"Cookie: a=1; b=2", "cookie: OURS", "COOKIE: c=3"}, want: "a=1; b=2; c=3"},
		{sent: []string{"Cookie: OURS", "Cookie: a=1"}, want: "a=1"},
		{sent: []string{"Cookie: OURS", "Cookie: OURS"}},
		{sent: []string{"Cookie: a=1", "Cookie: b=2; OURS; c=3", "Cookie: d=4"}, want: "a=1; b=2; c=3; d=4", bare: "a=1,b=2; c=3,d=4"},
		{sent: []string{"Cookie: __Host-bff_login_ABCDEFGH=x", "Cookie: OURS; z=9"}, want: "z=9"},
	}
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap, Config: identityConfig})
			b, other := s.Browser(t), s.Browser(t)
			b.Login("/", "ada")
			other.Login("/", "bob")
			mine, theirs := sessionCookie+"="+b.Cookie(sessionCookie), sessionCookie+"="+other.Cookie(sessionCookie)
			for _, tt := range tests {
				lines := slices.Clone(tt.sent)
				for i := range lines {
					lines[i] = strings.ReplaceAll(lines[i], ours, mine)
				}
				want := tt.want
				if bootstrap == envoytest.Bare && tt.bare != "" {
					want = tt.bare
				}
				a := wire(http1).send(t, s, http.MethodGet, "/", lines...)
				a.Bearer(t)
				if got := strings.Join(a.Echo(t).Headers["cookie"], "\n"); got != want {
					t.Errorf("%q: the app saw %q, want %q", tt.sent, got, want)
				}
			}
			// Over HTTP/2 Envoy joins the crumbs as browsers would have.
			a := wire(prior).send(t, s, http.MethodGet, "/", "cookie: a=1", "cookie: "+mine, "cookie: b=2", "cookie: c=3")
			a.Bearer(t)
			if got := a.Echo(t).Headers["cookie"]; !slices.Equal(got, []string{"a=1; b=2; c=3"}) {
				t.Errorf("HTTP/2 crumbs: the app saw %q", got)
			}
			// One of two sessions was planted.
			for _, lines := range [][]string{{"Cookie: " + mine, "Cookie: " + theirs}, {"Cookie: " + theirs + "; " + mine}} {
				if a := wire(http1).send(t, s, http.MethodGet, "/", lines...); a.Status != http.StatusUnauthorized {
					t.Errorf("two sessions in %d lines: %d, want 401", len(lines), a.Status)
				}
			}
			// Nothing of ours in it: nothing is touched.
			a = wire(http1).send(t, s, http.MethodGet, "/public/", "Cookie: a=1", "Cookie: b=2")
			if got := a.Echo(t).Headers["cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) {
				t.Errorf("without a cookie of ours the app saw %q", got)
			}
		})
	}
}
