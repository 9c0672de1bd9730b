//go:build alerts

package alerts

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// The provider is away for a while: that is told, and that users get 503; who logs
// out meanwhile leaves a token behind there. It is over when the provider is back.
func TestProviderIsAway(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	leavers := logIn(t, s, users)

	s.StopOP()
	for _, b := range leavers {
		if a := b.Post("/auth/logout"); a.Status != http.StatusSeeOther {
			t.Errorf("a logout: %v", a)
		}
	}
	p.fires("LamplighterProviderFailing")
	p.fires("LamplighterUnavailable")
	p.fires("LamplighterRevocationFailing")
	p.fires("LamplighterProviderFailing") // still
	s.ReturnOP(t)
	p.resolves("LamplighterProviderFailing")
	p.resolves("LamplighterUnavailable")
	p.only("LamplighterProviderFailing", "LamplighterUnavailable", "LamplighterRevocationFailing")
}

// A provider that grants one login to each person: the second one, in another
// browser, kills the grant of the first.
func TestGrantsAreDead(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	if err := s.OP.SetPolicy(op.Policy{OnePerUser: true}); err != nil {
		t.Fatal(err)
	}
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	use(t, logIn(t, s, users))
	p.fires("LamplighterSessionsLost", `reason="dead"`)
	p.resolves("LamplighterSessionsLost")
	p.only("LamplighterSessionsLost")
}

// Answers that are lost on the way, at a provider without a grace: the replays are
// refused, and that is told as what it is.
func TestAnswersAreLost(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	s.OP.SetChoose(func(n int, grant string) op.Fault { // never ten in a row, which would open the breaker
		return op.Fault{CutAfter: grant == "refresh_token" && n%2 == 0}
	})
	p.fires("LamplighterSessionsLost", `reason="lost_answer"`)
}

// The secret at hand is not the one that the provider knows: it is told of, with
// the 503s that follow, until the right one is back.
func TestClientSecretIsWrong(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	put := func(secret string) {
		if err := os.WriteFile(s.File("client-secret"), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("another")
	p.fires("LamplighterRefreshesRefused", `reason="misconfigured"`)
	p.fires("LamplighterUnavailable")
	put(stack.ClientSecret)
	p.resolves("LamplighterRefreshesRefused")
	p.resolves("LamplighterUnavailable")
	p.only("LamplighterRefreshesRefused", "LamplighterUnavailable")
}

// Nobody can sign in, and nobody is signed in whose refreshes would tell of it: a
// first start with a wrong secret.
func TestLoginsFail(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	if err := s.OP.ChangeSecret(stack.ClientID, "another"); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if a, err := s.Browser(t).TryLogin("/", fmt.Sprint("user", i)); err != nil || a.Status != http.StatusServiceUnavailable {
			t.Fatalf("a login: %v, %v", a, err)
		}
	}
	p.fires("LamplighterLoginsFailing", `reason="misconfigured"`)
	p.only("LamplighterLoginsFailing")
}

// A client that may not refresh any more. Its users log in anew, nobody gets 503.
func TestRefreshesAreForbidden(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	refuse(t, s, op.Fault{Status: http.StatusForbidden, Body: `{"error":"invalid_scope"}`})
	p.fires("LamplighterRefreshesRefused", `reason="refused"`)
	s.OP.ClearFaults()
	p.resolves("LamplighterRefreshesRefused")
	p.only("LamplighterRefreshesRefused")
}

// One answer with an id_token of another person is enough.
func TestTokensOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	s.OP.SetIDTokenOnRefresh(true)
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	foreign := &op.Edit{IDToken: &op.IDTokenEdit{Set: map[string]json.RawMessage{"sub": json.RawMessage(`"somebody else"`)}}}
	refuse(t, s, op.Fault{Edit: foreign, Times: 1})
	p.fires("LamplighterForeignTokens")
	p.only("LamplighterForeignTokens")
}

func refuse(t *testing.T, s *stack.Stack, f op.Fault) {
	t.Helper()
	f.GrantType = "refresh_token"
	if err := s.OP.SetFault(f); err != nil {
		t.Fatal(err)
	}
}
