package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const noSweep = "sweep: {enabled: false}"

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// refreshes counts the refresh requests that the provider received.
func refreshes(s *stack.Stack) (n int) {
	for _, r := range s.OP.Ledger().Received {
		if r.GrantType == "refresh_token" {
			n++
		}
	}
	return n
}

// usedOnce asserts the promise on the provider's books.
func usedOnce(t *testing.T, s *stack.Stack) {
	t.Helper()
	if l := s.OP.Ledger(); l.ConsumedTwice != 0 || l.Reuse != 0 {
		t.Errorf("the provider saw a spent refresh token again: %d generations, %d requests", l.ConsumedTwice, l.Reuse)
	}
}

func fault(t *testing.T, s *stack.Stack, f op.Fault) {
	t.Helper()
	f.GrantType = "refresh_token"
	if err := s.OP.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

// flood sends n requests in parallel and returns the bearers the app saw.
func flood(t *testing.T, b *stack.Browser, n int) []string {
	t.Helper()
	bearers, err := b.Flood(n)
	if err != nil {
		t.Fatal(err)
	}
	return bearers
}

// 1,000 parallel requests on one Due session: one token request, and nobody
// waited for it, since the provider holds it until all of them are answered. A machine
// that takes longer for them than a token is due gets one that lives twice as long.
func TestAThousandRequestsOnADueSession(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{Config: noSweep + "\nrefresh: {deadline: 60s}"})
	for life := 30 * time.Second; !floodedWhenDue(t, s, life); life *= 2 {
		if life > time.Minute {
			t.Fatalf("1,000 requests take longer than a token of %v is due", life)
		}
	}
	usedOnce(t, s)
}

// floodedWhenDue tells whether all requests were answered before the token's end:
// else some may have waited, and rightly so.
func floodedWhenDue(t *testing.T, s *stack.Stack, life time.Duration) bool {
	t.Helper()
	s.OP.SetAccessTokenLife(life)
	b, before, begun := s.Browser(t), refreshes(s), time.Now()
	old := b.Login("/", "ada").Bearer(t)
	loggedIn := time.Now() // the token's life began after begun, and before that
	fault(t, s, op.Fault{HoldBefore: true})
	time.Sleep(time.Until(loggedIn.Add(life*2/3 + 500*time.Millisecond))) // the token's own time: due from two thirds on
	bearers, err := b.Flood(1000)
	inTime := time.Since(begun) < life
	switch {
	case !inTime:
		t.Logf("the token of %v was not due for long enough: %v", life, err)
	case err != nil:
		t.Fatal(err)
	default:
		for _, bearer := range bearers {
			if bearer != old {
				t.Fatal("a request was answered with another token while the provider had given none")
			}
		}
		eventually(t, "the provider holds one request", func() bool { return s.OP.Ledger().Held == 1 })
		if got := refreshes(s) - before; got != 1 {
			t.Errorf("%d token requests, want 1", got)
		}
	}
	s.OP.ClearFaults()
	s.OP.Release()
	eventually(t, "the new token is served", func() bool {
		token, err := b.Fetch("/").AccessToken()
		return err == nil && token != old
	})
	if got := refreshes(s) - before; inTime && got != 1 {
		t.Errorf("%d token requests in the end, want 1", got)
	}
	return inTime
}

// The same past expiry: one token request, and all are answered with its token.
func TestAThousandRequestsOnAnExpiredSession(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 3 * time.Second, Config: noSweep})
	b := s.Browser(t)
	old := b.Login("/", "ada").Bearer(t)
	fault(t, s, op.Fault{Delay: op.Duration(time.Second)})
	s.OP.SetAccessTokenLife(time.Minute)
	time.Sleep(3*time.Second + 100*time.Millisecond) // the token's own time
	for _, bearer := range flood(t, b, 1000) {
		if bearer == old {
			t.Fatal("an expired token was served")
		}
	}
	if got := refreshes(s); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	usedOnce(t, s)
}

// The provider is down: served until real expiry, then 503 with Retry-After and
// for a navigation a page that retries, then healed without a login.
func TestProviderDownUntilPastExpiry(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Second
	s := stack.Start(t, stack.Options{AccessTokenLife: life})
	fault(t, s, op.Fault{Status: 503, Body: "down"})
	b := s.Browser(t)
	begun := time.Now() // before the token's life does
	old := b.Login("/", "ada").Bearer(t)
	for {
		a := b.Fetch("/")
		if time.Since(begun) >= life { // it may have come past expiry
			break
		}
		if a.Bearer(t) != old {
			t.Fatal("another token, though the provider gives none")
		}
		time.Sleep(200 * time.Millisecond) // paces the requests
	}
	eventually(t, "503 past expiry", func() bool { return b.Fetch("/").Status == http.StatusServiceUnavailable })
	a := b.Fetch("/")
	if a.Header.Get("Retry-After") == "" || len(a.Header.Values("Set-Cookie")) != 0 {
		t.Errorf("past expiry: Retry-After %q, Set-Cookie %q", a.Header.Get("Retry-After"), a.Header.Values("Set-Cookie"))
	}
	page := b.VisitOnce("/")
	if page.Status != http.StatusServiceUnavailable || !strings.Contains(page.Body, `http-equiv="refresh"`) {
		t.Errorf("a navigation past expiry: %v, want a page that retries", page)
	}
	s.OP.ClearFaults()
	eventually(t, "healed", func() bool { return b.Fetch("/").Status == http.StatusOK })
	if l := s.OP.Ledger(); l.Logins != 1 {
		t.Errorf("%d logins, want 1", l.Logins)
	}
	usedOnce(t, s)
}

// kill -9 while the provider holds the refresh request before consuming it.
func TestKilledWhileTheProviderHoldsTheRequest(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Config: noSweep})
	b := s.Browser(t)
	b.Login("/", "ada")
	s.OP.SetAccessTokenLife(time.Minute) // of the next token: it outlives a slow restart
	fault(t, s, op.Fault{HoldBefore: true})
	eventually(t, "the provider holds a refresh request", func() bool {
		b.Fetch("/")
		return s.OP.Ledger().Held == 1
	})
	s.Lamplighter.Kill()
	eventually(t, "the provider drops the request of the dead process", func() bool { return s.OP.Ledger().Held == 0 })
	s.OP.ClearFaults()
	s.Lamplighter.Start()
	eventually(t, "the session is alive with a new token", func() bool {
		a := b.Fetch("/")
		if a.Status == http.StatusUnauthorized {
			t.Fatalf("logged out: %v", a)
		}
		return a.Status == http.StatusOK && s.OP.Ledger().ReceivedBy["refresh_token"]["200"] == 1
	})
	if l := s.OP.Ledger(); l.Logins != 1 {
		t.Errorf("%d logins, want 1", l.Logins)
	}
	usedOnce(t, s)
}

// Neither a restart nor kill -9 logs anybody out.
func TestRestartsLogNobodyOut(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second})
	b := s.Browser(t)
	b.Login("/", "ada")
	for _, end := range []func(){
		func() { s.Lamplighter.Kill() },
		func() {
			if err := s.Lamplighter.Terminate(); err != nil {
				t.Errorf("SIGTERM: %v, want exit code 0", err)
			}
		},
	} {
		end()
		s.Lamplighter.Start()
		b.Fetch("/").Bearer(t)
		before := refreshes(s)
		eventually(t, "refreshes go on after the restart", func() bool {
			b.Fetch("/").Bearer(t)
			return refreshes(s) > before
		})
	}
	if l := s.OP.Ledger(); l.Logins != 1 {
		t.Errorf("%d logins, want 1", l.Logins)
	}
	usedOnce(t, s)
}

// A 10 s token, requests with pauses: the app never sees a token that the
// provider refuses.
func TestTenSecondTokens(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second})
	b := s.Browser(t)
	b.Login("/", "ada")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(700 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodGet, s.Issuer+"/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+b.Fetch("/").Bearer(t))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the provider refuses the token that the app got: %d", resp.StatusCode)
		}
	}
	if got := refreshes(s); got < 3 || got > 8 {
		t.Errorf("%d refreshes in 30 s of 10 s tokens, want 3 to 8", got)
	}
	usedOnce(t, s)
}
