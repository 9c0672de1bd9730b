package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// finalFor sends 100 requests at once with a session's old cookie: none passes.
func finalFor(t *testing.T, s *stack.Stack, cookie string) {
	t.Helper()
	before := s.App.Requests()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if a, err := http1(t, s, http.MethodGet, "/", "Cookie: "+sessionCookie+"="+cookie); err != nil || a.Status != http.StatusUnauthorized {
				t.Errorf("the old cookie: %d, %v, want 401", a.Status, err)
			}
		})
	}
	all.Wait()
	if got := s.App.Requests() - before; got != 0 {
		t.Errorf("%d requests with the old cookie reached the app", got)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	b, other := s.Browser(t), s.Browser(t)
	b.Login("/", "ada")
	other.Login("/", "ada")
	cookie := b.Cookie(sessionCookie)

	a := b.Post("/auth/logout")
	to, err := url.Parse(a.Location)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Location, s.Issuer+"/end_session?") {
		t.Fatalf("logout: %v, want 303 to end_session", a)
	}
	q := to.Query()
	if strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("client_id") != stack.ClientID || q.Get("post_logout_redirect_uri") != s.URL+"/" {
		t.Errorf("end_session with %v", slices.Sorted(maps.Keys(q)))
	}
	if c := setCookie(a, sessionCookie); c == nil || c.MaxAge >= 0 || c.Value != "" || !c.Secure || !c.HttpOnly || c.Path != "/" {
		t.Errorf("logout sets %v, want the session cookie gone", c)
	}
	finalFor(t, s, cookie)
	eventually(t, "the refresh token is revoked", func() bool { return s.OP.Ledger().RevokedBy[op.ReasonRevocation] == 1 })

	// The way over the provider ends at the app, which now asks for a login.
	hops := follow(b)
	end, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Location, nil)
	if err != nil {
		t.Fatal(err)
	}
	end.Header.Set("Accept", "text/html")
	page, err := b.Do(end)
	if err != nil {
		t.Fatal(err)
	}
	if len(*hops) < 2 || (*hops)[0].to.String() != s.URL+"/" || !strings.HasPrefix((*hops)[1].to.String(), s.Issuer) {
		t.Errorf("after end_session: %v, want the app, and from there a new login", *hops)
	}
	if !strings.Contains(page.Body, `name="username"`) {
		t.Errorf("the provider still knows the browser: %v", page)
	}
	if l := s.OP.Ledger(); l.Logouts != 1 || l.Revoked != 1 {
		t.Errorf("%d logouts, %d grants revoked, want 1 and 1", l.Logouts, l.Revoked)
	}
	finalFor(t, s, cookie)
	if !accepted(t, s, other.Fetch("/").Bearer(t)) {
		t.Error("another browser of the same user is signed out")
	}

	// Nobody is left to sign out, and the next login is a session of its own.
	if again := b.Post("/auth/logout"); again.Status != http.StatusSeeOther || again.Location != "/" {
		t.Errorf("logout without a session: %v", again)
	}
	b.SubmitLogin(page, "ada").Bearer(t)
	if b.Cookie(sessionCookie) == cookie {
		t.Error("the new session has the old cookie")
	}
	finalFor(t, s, cookie)
}

// Only a page of this site signs out.
func TestLogoutByAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	b := s.Browser(t)
	bearer := b.Login("/", "ada").Bearer(t)
	session := "Cookie: " + sessionCookie + "=" + b.Cookie(sessionCookie)
	for _, tt := range []asked{
		{"a link", "GET", []string{"Sec-Fetch-Mode: navigate", "Accept: text/html"}, 405},
		{"a link of this site", "GET", []string{"Sec-Fetch-Site: same-origin"}, 405},
		{"HEAD", "HEAD", nil, 405},
		{"DELETE", "DELETE", []string{"Sec-Fetch-Site: same-origin"}, 405},
		{"a form of another site", "POST", []string{"Sec-Fetch-Site: cross-site", evilOrigin}, 403},
		{"a form of another site that lies", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: " + s.URL}, 403},
		{"a form of another site, old browser", "POST", []string{evilOrigin}, 403},
		{"a form of a sibling subdomain", "POST", []string{"Sec-Fetch-Site: same-site", "Origin: http://sibling.localhost"}, 403},
		{"a form without an origin", "POST", []string{"Origin: null"}, 403},
		{"a form of an origin that begins like ours", "POST", []string{"Origin: " + s.URL + ".evil.example"}, 403},
		{"nobody's form", "POST", nil, 403},
	} {
		a := wire(http1).send(t, s, tt.method, "/auth/logout", append(tt.lines, session, "Content-Length: 0")...)
		if a.Status != tt.want || a.Location != "" || len(a.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: %v, want %d", tt.name, a, tt.want)
		}
		if got := b.Fetch("/").Bearer(t); got != bearer {
			t.Errorf("%s: the session has another token", tt.name)
		}
	}
	if l := s.OP.Ledger(); l.Revoked != 0 || l.Logouts != 0 {
		t.Errorf("%d grants revoked, %d logouts", l.Revoked, l.Logouts)
	}
}

// A refresh that is under way does not bring an ended session back.
func TestLogoutDuringARefresh(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]op.Fault{
		"before the provider consumed it": {HoldBefore: true}, "after the provider consumed it": {HoldAfter: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Config: noSweep})
			b := s.Browser(t)
			b.Login("/", "ada")
			cookie := b.Cookie(sessionCookie)
			fault(t, s, f)
			eventually(t, "the provider holds a refresh", func() bool {
				b.Fetch("/")
				return s.OP.Ledger().Held == 1
			})
			if a := b.Post("/auth/logout"); a.Status != http.StatusSeeOther {
				t.Fatalf("logout: %v", a)
			}
			finalFor(t, s, cookie)
			s.OP.ClearFaults()
			s.OP.Release()
			eventually(t, "the refresh is over", func() bool { return s.Lamplighter.Metric("bff_token_refresh_in_flight") == 0 })
			finalFor(t, s, cookie)
			eventually(t, "the grant is revoked", func() bool { return s.OP.Ledger().ActiveFamilies == 0 })
		})
	}
}

// GET /auth/session tells the site's scripts who is signed in, and no secret.
func TestSessionEndpoint(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	b := s.Browser(t)
	type view struct {
		SignedIn  bool `json:"signed_in"`
		User      map[string]string
		ExpiresAt time.Time `json:"expires_at"`
	}
	ask := func(want int) (v view, body string) {
		t.Helper()
		a := b.Fetch("/auth/session")
		if err := json.Unmarshal([]byte(a.Body), &v); err != nil || a.Status != want {
			t.Fatalf("session: %v, %v, want %d", a, err, want)
		}
		if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || len(a.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("headers %v", a.Header)
		}
		return v, a.Body
	}
	if v, _ := ask(http.StatusUnauthorized); v.SignedIn || v.User != nil {
		t.Errorf("before: %+v", v)
	}
	seen := b.Login("/", "ada").Echo(t).Headers
	v, body := ask(http.StatusOK)
	if !v.SignedIn || v.User["sub"] != seen["x-user-id"][0] {
		t.Errorf("signed in: %+v", v)
	}
	if left := time.Until(v.ExpiresAt); left < 7*time.Hour || left > 8*time.Hour {
		t.Errorf("the session ends in %v, want 8 h from login", left)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, []string{"expires_at", "signed_in", "user"}) {
		t.Errorf("fields %q", got)
	}
	for name, secret := range map[string]string{
		"handle": b.Cookie(sessionCookie), "access token": strings.TrimPrefix(seen["authorization"][0], "Bearer "), "hash": seen["x-session-id"][0],
	} {
		if strings.Contains(body, secret) {
			t.Errorf("it tells the %s", name)
		}
	}
	b.Post("/auth/logout")
	if v, _ := ask(http.StatusUnauthorized); v.SignedIn || v.User != nil {
		t.Errorf("after: %+v", v)
	}
	if got := wire(http1).send(t, s, http.MethodPost, "/auth/session", "Content-Length: 0"); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d, want 405", got.Status)
	}
}

// A provider that gives no refresh token: the session is as long as its token.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	const life = 5 * time.Second
	s := stack.Start(t, stack.Options{AccessTokenLife: life})
	s.OP.SetIssueRefreshToken(false)
	b := s.Browser(t)
	before := time.Now()
	token := b.Login("/", "ada").Bearer(t)
	var last stack.Answer
	eventually(t, "the session is over", func() bool {
		good := accepted(t, s, token)
		last = b.Fetch("/")
		if last.Status == http.StatusOK && (last.Bearer(t) != token || !good) {
			t.Fatal("another token out of nowhere, or one that the provider refused before")
		}
		return last.Status != http.StatusOK
	})
	if lasted := time.Since(before); last.Status != http.StatusUnauthorized || lasted < life {
		t.Errorf("past expiry %d after %v, want 401 after %v or more", last.Status, lasted, life)
	}
	toProvider(t, s, b.VisitOnce("/page"))
	if got := refreshes(s); got != 0 {
		t.Errorf("%d refresh requests without a refresh token", got)
	}
	if !accepted(t, s, b.Visit("/page").Bearer(t)) { // the provider still knows the browser
		t.Error("the next login gave no good token")
	}
}

// A provider that does not tell how long its tokens live: five minutes, and the
// operator hears of it once.
func TestNoLifetime(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	s.OP.SetOmitExpiresIn(true)
	for _, user := range []string{"ada", "bob", "eve"} {
		if !accepted(t, s, s.Browser(t).Login("/", user).Bearer(t)) {
			t.Errorf("%s got no good token", user)
		}
	}
	if got := strings.Count(s.Lamplighter.Log(), "no usable expires_in"); got != 1 {
		t.Errorf("said %d times, want once", got)
	}
}
