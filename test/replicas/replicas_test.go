package replicas

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

const sessionCookie = "__Host-bff_session"

// start runs n replicas over one Redis of their own.
func start(t *testing.T, n int, o stack.Options) []*stack.Stack {
	t.Helper()
	return over(t, redistest.Start(t), n, o)
}

// over runs n replicas over redis.
func over(t *testing.T, redis *redistest.Server, n int, o stack.Options) []*stack.Stack {
	t.Helper()
	return startOver(t, n, fmt.Sprintf("addresses: [%q]", redis.Addr), o)
}

// startOver runs n replicas with what the configuration says of Redis.
func startOver(t *testing.T, n int, redis string, o stack.Options) []*stack.Stack {
	t.Helper()
	o.Config = fmt.Sprintf("store: {redis: {%s}}\n%s", redis, o.Config)
	all := []*stack.Stack{stack.Start(t, o)}
	for len(all) < n {
		all = append(all, all[0].Replica(t))
	}
	return all
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, ok)
}

func within(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// at is b's request through a replica's Envoy.
func at(t *testing.T, b *stack.Browser, s *stack.Stack, path string) stack.Answer {
	t.Helper()
	a, err := try(b, s, path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is at for any goroutine.
func try(b *stack.Browser, s *stack.Stack, path string) (stack.Answer, error) {
	req, err := http.NewRequest(http.MethodGet, s.Entry()+path, nil)
	if err != nil {
		return stack.Answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	return b.DoOnce(req)
}

// A browser that logs in through one pod is signed in on all; expired, its token
// is refreshed once, whichever replicas are asked.
func TestOneRefreshOnThreeReplicas(t *testing.T) {
	t.Parallel()
	all := start(t, 3, stack.Options{AccessTokenLife: 3 * time.Second, Config: "sweep: {enabled: false}"})
	s := all[0]
	b := s.Browser(t)
	old := b.Login("/", "ada").Bearer(t)
	for i, r := range all {
		if got := at(t, b, r, "/").Bearer(t); got != old {
			t.Errorf("replica %d serves another token", i)
		}
	}
	if err := s.OP.SetFault(op.Fault{GrantType: "refresh_token", Delay: op.Duration(time.Second)}); err != nil {
		t.Fatal(err)
	}
	s.OP.SetAccessTokenLife(time.Minute)
	time.Sleep(3*time.Second + 100*time.Millisecond) // the token's own time
	bearers := make([]string, 90)
	var flood sync.WaitGroup
	for i := range bearers {
		flood.Go(func() { bearers[i] = at(t, b, all[i%len(all)], "/").Bearer(t) })
	}
	flood.Wait()
	for _, bearer := range bearers {
		if bearer == old || bearer != bearers[0] {
			t.Fatal("not all were served the one new token")
		}
	}
	l := s.OP.Ledger()
	if got := l.ReceivedBy["refresh_token"]["200"]; got != 1 || l.Reuse != 0 || l.Logins != 1 {
		t.Errorf("%d refreshes, %d with a spent token, %d logins", got, l.Reuse, l.Logins)
	}
}

// A logout on one is final on all within a second.
func TestLogoutIsFinalOnAll(t *testing.T) {
	t.Parallel()
	all := start(t, 2, stack.Options{})
	logoutIsHeard(t, all, "ada")
}

// logoutIsHeard logs a user in and out at the first of all, and waits until the
// second, which had the session cached, knows.
func logoutIsHeard(t *testing.T, all []*stack.Stack, user string) {
	t.Helper()
	b := all[0].Browser(t)
	b.Login("/", user)
	for range 2 {
		at(t, b, all[1], "/").Bearer(t)
	}
	handle := b.Cookie(sessionCookie)
	if a := b.Post("/auth/logout"); a.Status != http.StatusSeeOther {
		t.Fatalf("logout: %v", a)
	}
	told := time.Now()
	eventually(t, "the other replica knows of the logout", func() bool { return withHandle(t, all[1], handle) == http.StatusUnauthorized })
	t.Logf("a logout is heard after %v", time.Since(told))
}

// Two apps of one server have nothing to do with each other: neither serves the other's
// sessions, nor refreshes them.
func TestAppsAreApart(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	one := over(t, redis, 1, stack.Options{AccessTokenLife: 10 * time.Second})[0]
	two := over(t, redis, 1, stack.Options{AccessTokenLife: 10 * time.Second, Config: "app: two"})[0]
	first := one.Browser(t)
	first.Login("/", "ada")
	handle := first.Cookie(sessionCookie)
	if status := withHandle(t, two, handle); status != http.StatusUnauthorized {
		t.Errorf("the other app answers %d", status)
	}
	two.Browser(t).Login("/", "grace")
	for _, s := range []*stack.Stack{one, two} {
		eventually(t, "its own session is swept twice", func() bool { return s.OP.Ledger().ReceivedBy["refresh_token"]["200"] >= 2 })
		if l := s.OP.Ledger(); len(l.ReceivedBy["refresh_token"]) != 1 || l.Reuse != 0 {
			t.Errorf("refreshes %v, %d with a spent token", l.ReceivedBy["refresh_token"], l.Reuse)
		}
	}
	if status := withHandle(t, one, handle); status != http.StatusOK {
		t.Errorf("its own app answers %d", status)
	}
}

// withHandle is what a replica answers to a request with a handle of the past.
func withHandle(t *testing.T, s *stack.Stack, handle string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Entry()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", sessionCookie+"="+handle)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Sessions are kept alive by the sweep of one of them, once each. Whose a shard is, is
// drawn anew in each run: one replica has all of 40 sessions, in 64 shards, in one run of
// 170 million, and all of ten in one of 270.
func TestTheSweepOfReplicas(t *testing.T) {
	t.Parallel()
	const people = 40
	all := start(t, 2, stack.Options{AccessTokenLife: 10 * time.Second})
	s := all[0]
	var crowd []*stack.Browser
	for i := range people {
		b := s.Browser(t)
		b.Login("/", fmt.Sprint("user", i))
		crowd = append(crowd, b)
	}
	eventually(t, "everybody was refreshed twice", func() bool {
		return s.OP.Ledger().ReceivedBy["refresh_token"]["200"] >= 2*people
	})
	for i, b := range crowd {
		at(t, b, all[i%2], "/").Bearer(t)
	}
	l := s.OP.Ledger()
	if l.Reuse != 0 || l.Logins != people || !eachOnce(l) {
		t.Errorf("%+v", l.ReceivedBy)
	}
	for i, r := range all {
		if r.Lamplighter.Metric("bff_token_refresh_success_total") == 0 {
			t.Errorf("replica %d refreshed nobody", i)
		}
	}
}

// eachOnce tells that every refresh of l was answered with tokens, or is under way,
// and consumed one generation.
func eachOnce(l op.Ledger) bool {
	refreshes := l.ReceivedBy["refresh_token"]
	answered, open := refreshes["200"], refreshes["open"]
	for outcome := range refreshes {
		if outcome != "200" && outcome != "open" {
			return false
		}
	}
	return sum(l.Consumed) >= answered && sum(l.Consumed) <= answered+open
}

func sum(all map[string]int) (n int) {
	for _, c := range all {
		n += c
	}
	return n
}
