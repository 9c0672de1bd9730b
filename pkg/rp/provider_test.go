package rp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

func parse(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The provider is down at start, then answers nonsense, then itself.
func TestRunWaitsForTheProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHostile(t)
		real := h.transport()
		var tries, phase atomic.Int32
		const down, wrong, up = 0, 1, 2
		w := undiscovered(t, options(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			tries.Add(1)
			switch phase.Load() {
			case down:
				return nil, errors.New("connection refused")
			case wrong:
				return &http.Response{StatusCode: 502, Status: "502 Bad Gateway", Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 5000))), Header: http.Header{}, Request: r}, nil
			}
			return real.RoundTrip(r)
		})))
		done := make(chan error, 1)
		go func() { done <- w.Run(t.Context()) }()
		time.Sleep(2 * time.Minute)
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("ready: %v", err)
		}
		if n := tries.Load(); n < 8 || n > 15 {
			t.Errorf("%d tries within two minutes", n)
		}
		phase.Store(wrong)
		time.Sleep(2 * time.Minute)
		if err := w.Ready(); err == nil || len(err.Error()) > 500 {
			t.Errorf("ready: %v", err)
		}
		phase.Store(up)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := w.Ready(); err != nil {
			t.Errorf("ready: %v", err)
		}
		phase.Store(down)
		if err := w.Ready(); err != nil {
			t.Errorf("no longer ready when the provider is down: %v", err)
		}
		if got := strings.Count(w.log.String(), "provider cannot be discovered"); got != 2 {
			t.Errorf("told the operator %d times, want once for each state: %s", got, w.log)
		}
		if got := strings.Count(w.log.String(), "provider discovered"); got != 1 {
			t.Errorf("told of success %d times", got)
		}
	})
}

func TestRunStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := undiscovered(t, options(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done() // hangs
			return nil, r.Context().Err()
		})))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := w.Run(ctx); err != nil || time.Since(start) != time.Minute || w.Ready() == nil {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Stopping is no trouble with the provider.
func TestRunStopsQuietly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := undiscovered(t, options(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Run(ctx); err != nil || w.log.String() != "" {
			t.Errorf("%v, log %s", err, w.log)
		}
	})
}

func TestDiscoveryRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(map[string]any){
		"another issuer":            func(m map[string]any) { m["issuer"] = "https://other.example" },
		"no token endpoint":         func(m map[string]any) { delete(m, "token_endpoint") },
		"no authorization endpoint": func(m map[string]any) { m["authorization_endpoint"] = "" },
		"no keys":                   func(m map[string]any) { delete(m, "jwks_uri") },
		"relative endpoint":         func(m map[string]any) { m["token_endpoint"] = "/token" },
		"odd scheme":                func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"odd logout":                func(m map[string]any) { m["end_session_endpoint"] = "//x" },
		"odd revocation":            func(m map[string]any) { m["revocation_endpoint"] = "ftp://x/" },
		"too long":                  func(m map[string]any) { m["x"] = strings.Repeat("x", 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHostile(t)
				change(h.metadata)
				w := undiscovered(t, options(t, h.transport()))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := w.Run(ctx); err != nil || w.Ready() == nil {
					t.Errorf("taken: %v", err)
				}
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rp.Options){
		"issuer":               func(o *rp.Options) { o.Issuer = "op.example.com" },
		"client_id":            func(o *rp.Options) { o.ClientID = "" },
		"auth style":           func(o *rp.Options) { o.AuthStyle = "" },
		"public with a secret": func(o *rp.Options) { o.AuthStyle = rp.AuthPublic },
		"no secret":            func(o *rp.Options) { o.ClientSecret = nil },
		"unreadable secret": func(o *rp.Options) {
			o.ClientSecret = func() (session.Secret, error) { return session.Secret{}, errors.New("gone") }
		},
		"openid":              func(o *rp.Options) { o.Scopes = []string{"profile"} },
		"external_url":        func(o *rp.Options) { o.ExternalURL = nil },
		"external_url path":   func(o *rp.Options) { o.ExternalURL = parse(t, external+"/app") },
		"external_url scheme": func(o *rp.Options) { o.ExternalURL = parse(t, "app.example.com") },
		"prefix":              func(o *rp.Options) { o.PathPrefix = "/auth" },
		"prefix of all":       func(o *rp.Options) { o.PathPrefix = "/" },
		"cookie name":         func(o *rp.Options) { o.CookieName = "session" },
		"cookie of attempts":  func(o *rp.Options) { o.CookieName = rp.LoginCookiePrefix + "x" },
		"cookie domain":       func(o *rp.Options) { o.CookieDomain = "example.com" },
		"absolute":            func(o *rp.Options) { o.Absolute = 0 },
		"keyring":             func(o *rp.Options) { o.Keyring = nil },
		"sessions":            func(o *rp.Options) { o.Sessions = nil },
		"log":                 func(o *rp.Options) { o.Log = nil },
	} {
		o := options(t, nil)
		o.Log = slog.New(slog.DiscardHandler)
		change(&o)
		if _, err := rp.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Whatever happens, no secret and no name of a user is logged, and none is shown.
func TestNothingSecretIsLoggedOrShown(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	const user = "canary-user"
	var secrets []string
	for _, fault := range []op.Fault{
		{}, {Status: 400, Body: `{"error":"invalid_grant","error_description":"canary-text"}`}, {Status: 500, Body: "canary-text"},
		{Status: 200, Body: `{"access_token":"canary-text","token_type":"canary-text"}`}, {Status: 400, Body: `{"error":"canary-text"}`},
		{Status: 200, Body: `{"access_token":"canary-text","id_token":"canary-text.canary-text.canary-text"}`},
	} {
		b := w.browser()
		to := b.begin("/a")
		callback := b.signIn(p, to, user)
		q := parse(t, callback).Query()
		secrets = append(secrets, to.Query().Get("nonce"), q.Get("state"), q.Get("code"))
		for _, c := range b.jar {
			secrets = append(secrets, c.Value)
		}
		if fault.Status != 0 {
			if err := p.SetFault(fault); err != nil {
				t.Fatal(err)
			}
		}
		old := b.clone()
		b.get(callback)
		old.get(callback)
		b.get("/auth/callback?error=canary-text&error_description=canary-text&state=" + b.begin("/").Query().Get("state"))
		if h := b.handle(); h != "" {
			secrets = append(secrets, h)
		}
		if len(w.vault.sessions()) == 0 {
			t.Fatal("no session to refresh")
		}
		s := w.vault.sessions()[0]
		a := w.Refresh(t.Context(), s)
		if a.Err != nil {
			_, _ = io.WriteString(w.log, a.Err.Error())
		}
		secrets = append(secrets, s.Token.Access.Reveal(), s.Token.Refresh.Reveal(), s.Token.ID.Reveal(), s.Identity.Subject)
		if a.Class == session.Renewed {
			secrets = append(secrets, a.Grant.Access.Reveal(), a.Grant.Refresh.Reveal(), a.Grant.ID.Reveal())
		}
		if err := w.Revoke(t.Context(), stored("canary-text")); err != nil {
			_, _ = io.WriteString(w.log, err.Error())
		}
		p.ClearFaults()
		w.vault.outage(errors.New("store trouble"))
		b.logout("Origin", external)
		w.vault.outage(nil)
		b.logout("Origin", external)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" }) // a grant without refresh token
	secrets = append(secrets, clientSecret, url.QueryEscape(clientSecret), user, "canary-text")
	for place, text := range map[string]string{"log": w.log.String(), "pages": w.pages.String()} {
		if len(text) < 1000 {
			t.Errorf("the %s holds too little to prove anything: %d bytes", place, len(text))
		}
		for _, secret := range secrets {
			if len(secret) < 6 {
				t.Fatalf("secret %q proves nothing", secret)
			}
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %q", place, secret)
			}
		}
	}
}
