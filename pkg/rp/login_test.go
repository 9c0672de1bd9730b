package rp_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		resp := b.login(p, "/orders?page=2&x=%2F")
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/orders?page=2&x=%2F" {
			t.Errorf("callback: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
		}
		if len(b.names(attempts)) != 0 {
			t.Errorf("attempt cookies left: %v", b.names(attempts))
		}
		if c := b.jar[cookieName]; c == nil || c.MaxAge != 8*3600 {
			t.Fatalf("session cookie: %v", c)
		}
		h, err := session.ParseHandle(b.handle())
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.vault.Get(t.Context(), h.ID())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now() // fake: nothing above took time
		id := s.Identity
		if s.Revision != 1 || s.App != "shop" || s.Provider != issuer || !s.CreatedAt.Equal(now) || !s.EndsAt.Equal(now.Add(8*time.Hour)) ||
			!s.Token.Issued.Equal(now) || s.Token.Lifetime != time.Minute || s.SweepAt.IsZero() || s.Token.Refresh.IsZero() || s.Token.ID.IsZero() {
			t.Errorf("session: %+v", s)
		}
		if !strings.HasPrefix(id.Subject, "u-") || id.Email != "ada@example.com" || id.Name != "ada" || id.SID == "" || !id.AuthTime.Equal(now) || id.Claims != nil {
			t.Errorf("identity: %+v", id)
		}
		if l := p.Ledger(); l.ReceivedBy["authorization_code"]["200"] != 1 || len(l.Received) != 1 {
			t.Errorf("ledger: %+v", l.ReceivedBy)
		}
	})
}

func TestAuthorizationRequest(t *testing.T) {
	t.Parallel()
	w, _ := withOP(t)
	b := w.browser()
	q, again := b.begin("/").Query(), b.begin("/").Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "redirect_uri": external + "/auth/callback",
		"scope": "openid profile email offline_access", "code_challenge_method": "S256",
	} {
		if q.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, q.Get(name), want)
		}
	}
	if sum, err := base64.RawURLEncoding.DecodeString(q.Get("code_challenge")); err != nil || len(sum) != sha256.Size {
		t.Errorf("code_challenge %q", q.Get("code_challenge"))
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 26 || q.Get(name) == again.Get(name) {
			t.Errorf("%s is guessable: %q, %q", name, q.Get(name), again.Get(name))
		}
	}
}

func TestAuthorizationParams(t *testing.T) {
	t.Parallel()
	plain, _ := withOP(t)
	w, p := withOP(t, func(o *rp.Options) {
		o.AuthorizationParams = map[string]string{"prompt": "consent", "audience": "https://api.example.com/?a=1&b"}
	})
	b := w.browser()
	without, at := plain.browser().begin("/").Query(), b.begin("/")
	q := at.Query()
	if got := q["prompt"]; len(got) != 1 || got[0] != "consent" {
		t.Errorf("prompt = %q", got)
	}
	if got := q["audience"]; len(got) != 1 || got[0] != "https://api.example.com/?a=1&b" {
		t.Errorf("audience = %q", got)
	}
	q.Del("prompt")
	q.Del("audience")
	if got, want := slices.Sorted(maps.Keys(q)), slices.Sorted(maps.Keys(without)); !slices.Equal(got, want) {
		t.Errorf("the others are %q, want %q", got, want)
	}
	if resp := b.get(b.signIn(p, at, "ada")); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the login ends with %d", resp.StatusCode)
	}
}

func TestSeveralTabs(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	var at [5]*url.URL
	for i := range at {
		at[i] = b.begin(fmt.Sprint("/tab/", i))
	}
	if got := len(b.names(attempts)); got != len(at) {
		t.Fatalf("%d attempt cookies", got)
	}
	for i := len(at) - 1; i >= 0; i-- {
		resp := b.get(b.signIn(p, at[i], "ada"))
		if want := fmt.Sprint("/tab/", i); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want {
			t.Errorf("tab %d: %d to %q", i, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if len(w.vault.sessions()) != len(at) || len(b.names(attempts)) != 0 {
		t.Errorf("%d sessions, attempt cookies %v", len(w.vault.sessions()), b.names(attempts))
	}
}

func TestOldestAttemptsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		var at []*url.URL
		for range 8 {
			at = append(at, b.begin("/"))
			time.Sleep(time.Second)
		}
		if got := len(b.names(attempts)); got != 5 {
			t.Fatalf("%d attempt cookies, want 5", got)
		}
		wantPage(t, b.get(b.signIn(p, at[2], "ada")), http.StatusBadRequest, "Start again")
		if resp := b.get(b.signIn(p, at[3], "ada")); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("the fifth last attempt: %d", resp.StatusCode)
		}
	})
}

// What somebody put into the browser under a name of ours goes first.
func TestUnreadableAttemptsGoFirst(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	for i := range 6 {
		name := attempts + fmt.Sprint("AAAAAAA", 2+i)
		b.keep(&http.Cookie{Name: name, Value: "x", MaxAge: 600, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	if resp := b.get(b.signIn(p, b.begin("/"), "ada")); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("login: %d", resp.StatusCode)
	}
	if got := len(b.names(attempts)); got != 4 {
		t.Errorf("%d attempt cookies left", got)
	}
	for range 6 {
		b.begin("/")
	}
	if b.jar[recent] == nil {
		t.Error("the note of recent logins went for an attempt")
	}
}

func TestReturnPathIsLocal(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	for _, to := range []string{"", "https://evil.example/", "//evil.example", `/\evil.example`, "/%2f%2fevil.example", "/auth/logout", "/\r\nX: y"} {
		if got := w.browser().login(p, to).Header.Get("Location"); got != "/" {
			t.Errorf("return_to %q leads to %q", to, got)
		}
	}
	long := "/" + strings.Repeat(`"`, 2000) // doubles in JSON
	if got := w.browser().login(p, long).Header.Get("Location"); got != "/" {
		t.Errorf("a path too big for a cookie leads to %q", got)
	}
	amps := "/?" + strings.Repeat("a&", 1000)
	if got := w.browser().login(p, amps).Header.Get("Location"); got != amps {
		t.Errorf("a long query leads to %q", got)
	}
}

func TestLoginWithoutProvider(t *testing.T) {
	t.Parallel()
	w := undiscovered(t, options(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })))
	b := w.browser()
	wantPage(t, b.get("/auth/login?return_to=/a"), http.StatusServiceUnavailable, "/auth/login?return_to=%2Fa")
	if len(b.jar) != 0 {
		t.Errorf("cookies: %v", b.jar)
	}
	if err := w.Ready(); err == nil {
		t.Error("ready without a provider")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w, _ := withOP(t)
	b := w.browser()
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/auth/", 404, ""}, {"GET", "/auth", 404, ""}, {"GET", "/auth/nothing", 404, ""}, {"GET", "/login", 404, ""}, {"GET", "/auth/login/", 404, ""},
		{"POST", "/auth/login", 405, "GET"}, {"HEAD", "/auth/callback", 405, "GET"}, {"POST", "/auth/callback", 405, "GET"},
		{"GET", "/auth/logout", 405, "POST"}, {"HEAD", "/auth/logout", 405, "POST"}, {"DELETE", "/auth/session", 405, "GET"}, {"OPTIONS", "/auth/logout", 405, "POST"},
	} {
		resp := b.send(t.Context(), tt.method, tt.path, "Sec-Fetch-Site", "same-origin")
		if resp.StatusCode != tt.status || resp.Header.Get("Allow") != tt.allow || resp.Header.Get("Content-Type") != "application/problem+json" || len(resp.Cookies()) != 0 {
			t.Errorf("%s %s: %d, %v", tt.method, tt.path, resp.StatusCode, resp.Header)
		}
	}
}

// Once over real sockets, TLS and cookie rules, with the transport of our own.
func TestLoginOverLoopback(t *testing.T) {
	t.Parallel()
	var w *world
	app := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			w.ServeHTTP(rw, r)
		}
	}))
	defer app.Close()
	provider := httptest.NewUnstartedServer(nil)
	p, err := op.New(op.Options{Issuer: "http://" + provider.Listener.Addr().String(), Clients: []op.Client{{
		ID: clientID, Secret: clientSecret, RedirectURIs: []string{app.URL + "/auth/callback"}, PostLogoutRedirectURIs: []string{app.URL + "/"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	provider.Config.Handler = p
	provider.Start()
	defer provider.Close()
	defer p.Close()
	o := options(t, nil)
	o.Issuer = provider.URL
	if o.ExternalURL, err = url.Parse(app.URL); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, o)

	c := app.Client()
	if c.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	page, err := c.Get(app.URL + "/auth/login?return_to=/hello?x=y")
	if err != nil || page.StatusCode != http.StatusOK {
		t.Fatalf("to the provider's page: %v, %v", page, err)
	}
	page.Body.Close()
	back, err := c.PostForm(page.Request.URL.String(), url.Values{"username": {"ada"}})
	if err != nil {
		t.Fatal(err)
	}
	back.Body.Close()
	if got := back.Request.URL.String(); got != app.URL+"/hello?x=y" {
		t.Errorf("the browser is at %s", got)
	}
	info, err := c.Get(app.URL + "/auth/session")
	if err != nil || info.StatusCode != http.StatusOK {
		t.Fatalf("session: %v, %v", info, err)
	}
	if body := bodyOf(t, info); !strings.Contains(body, `"email":"ada@example.com"`) {
		t.Errorf("session: %s", body)
	}
	info.Body.Close()
	s := w.vault.sessions()[0]
	if a := w.Refresh(t.Context(), s); a.Class != session.Renewed || !a.Sent || a.Err != nil || a.Grant.Access == s.Token.Access || a.Grant.ID.IsZero() {
		t.Errorf("refresh: %+v", a)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var _ rp.Sessions = (*vault)(nil)
