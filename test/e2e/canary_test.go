package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// Whatever happens, lamplighter's log at its finest level and its metrics hold
// no token, cookie, code or user name.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	watch := &stack.Spy{Next: http.DefaultTransport}
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Spy: watch})
	if err := s.Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	s.WriteConfig(t, fmt.Sprintf("provider: {issuer: %q, client_id: %s, client_secret_file: %q, scopes: [openid, profile, email, offline_access]}",
		s.Issuer, stack.ClientID, s.File("client-secret")))
	s.Lamplighter.Start()
	for _, file := range []string{"client-secret", "keys"} {
		content, err := os.ReadFile(s.File(file))
		if err != nil {
			t.Fatal(err)
		}
		watch.Note(strings.TrimSpace(string(content)), file)
	}
	watch.Note("canary-of-the-provider", "text of the provider")

	b, bob := stack.NewBrowser(t, s.URL, watch), stack.NewBrowser(t, s.URL, watch)
	bearer := func(a stack.Answer) {
		watch.Note(a.Bearer(t), "access token")
		for _, header := range []string{"x-user-id", "x-user-name", "x-user-email", "x-session-id"} {
			watch.Note(a.Echo(t).Headers[header][0], header)
		}
	}
	bearer(b.Login("/page?q=canary-of-the-provider", "canary-user-ada"))
	bearer(bob.Login("/", "canary-user-bob"))
	eventually(t, "a refresh of both", func() bool {
		bearer(b.Fetch("/"))
		bearer(bob.Fetch("/"))
		return s.OP.Ledger().ReceivedBy["refresh_token"]["200"] >= 2
	})

	// Everything that is told as an error.
	code := callbackOf(t, s, b, b.VisitOnce("/auth/login").Location)
	for range 2 {
		if _, err := b.DoOnce(code); err != nil {
			t.Fatal(err)
		}
	}
	b.VisitOnce("/auth/callback?error=canary-of-the-provider&state=" + code.URL.Query().Get("state"))
	b.VisitOnce("/auth/canary-of-the-provider")
	b.Fetch("/", "Cookie: "+sessionCookie+"=canary-of-the-provider")
	for _, body := range []string{
		`{"error":"server_error","error_description":"canary-of-the-provider"}`, `{"error":"canary-of-the-provider"}`,
		"canary-of-the-provider", `{"access_token":"canary-of-the-provider"`,
	} {
		for _, status := range []int{200, 302, 400, 401, 500, 503} {
			for _, grant := range []string{"authorization_code", "refresh_token"} {
				if err := s.OP.SetFault(op.Fault{GrantType: grant, Status: status, Body: body, Times: 1}); err != nil {
					t.Fatal(err)
				}
			}
			broken := stack.NewBrowser(t, s.URL, watch)
			if a := signIn(t, s, broken, broken.VisitOnce("/page").Location); a.Status < 400 || strings.Contains(a.Body, "canary-of-the-provider") {
				t.Errorf("a login with %d %s: %v", status, body, a)
			}
		}
	}
	eventually(t, "a failed refresh", func() bool {
		b.Fetch("/")
		return strings.Contains(s.Lamplighter.Log(), "refresh failed")
	})
	s.OP.ClearFaults()
	b.Post("/auth/logout")

	_, metrics, err := s.Lamplighter.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	log := s.Lamplighter.Log()
	for where, text := range map[string]string{"log": log, "metrics": metrics} {
		if found := watch.FoundIn([]byte(text)); len(found) > 0 {
			t.Errorf("%q in the %s", found, where)
		}
	}
	kinds := watch.Kinds()
	for _, want := range []string{
		"access token", "access_token", "client-secret", "code", "code_challenge", "cookie " + loginCookies, "cookie " + sessionCookie,
		"id_token", "id_token_hint", "keys", "nonce", "refresh_token", "state", "x-session-id", "x-user-email", "x-user-id", "x-user-name",
	} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s was there to be found", want)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a log line that is no JSON: %s", line)
		}
	}
}
