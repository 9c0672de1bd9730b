//go:build soak

package soak

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const users = 2000

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the provider's library logs every refusal
	os.Exit(m.Run())
}

// soakFor is how long the traffic lasts: SOAK_FOR, or two minutes.
func soakFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_FOR")
	if text == "" {
		return 2 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// provider is one way to treat a spent refresh token, and the profile that expects it.
type provider struct {
	profile   string
	policy    op.Policy
	forgiving bool
}

// Two thousand users with tokens of 12 s at a provider that fails in every way
// it can: nobody is served as another, nobody is out who need not be, nobody is
// in who logged out, nothing is used twice, nothing secret is told. Two thirds of
// the time the provider revokes at the first reuse, for the rest it has a grace.
func TestSoak(t *testing.T) {
	whole := soakFor(t)
	t.Run("strict", func(t *testing.T) {
		soak(t, whole*2/3, provider{profile: "generic"})
	})
	t.Run("grace", func(t *testing.T) {
		soak(t, whole/3, provider{
			profile: "okta", forgiving: true,
			// Longer than any of the faults, one after the other, keep a session from asking again.
			policy: op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(10 * time.Minute)},
		})
	})
}

func soak(t *testing.T, traffic time.Duration, p provider) {
	s, spy := start(t, p)
	c := newCrowd(t, s, spy)
	people := c.arrive()
	before := s.Lamplighter.MostResources()
	s.OP.SetChoose(choose(kinds(), uint64(traffic)))
	during, end := context.WithTimeout(t.Context(), traffic)
	defer end()
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(during) })
	each(people, func(u *user) { u.live(during, false) })
	watching.Wait()
	c.telling(traffic)
	s.OP.ClearFaults()
	c.settle(people, p)
	c.verdict(p)
	s.Lamplighter.BackTo(t, before)
	c.canaries()
}

func start(t *testing.T, p provider) (*stack.Stack, *stack.Spy) {
	t.Helper()
	spy := &stack.Spy{}
	s := stack.Start(t, stack.Options{
		AccessTokenLife: tokenLife, Plain: true, Spy: spy,
		// An RSA key for each "unknown key" costs the provider more than all of its answers.
		Provider: func(o *op.Options) { o.ES256 = true },
	})
	if err := s.OP.SetPolicy(p.policy); err != nil {
		t.Fatal(err)
	}
	if err := s.Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	s.WriteConfig(t, fmt.Sprintf("provider: {issuer: %q, client_id: %s, client_secret_file: %q, profile: %s, scopes: [openid, profile, email, offline_access]}",
		s.Issuer, stack.ClientID, s.File("client-secret"), p.profile))
	s.Lamplighter.Start()
	return s, spy
}

// arrive logs everybody in, some at a time.
func (c *crowd) arrive() []*user {
	c.t.Helper()
	begun := time.Now()
	people := make([]*user, users)
	for i := range people {
		people[i] = c.user(i)
	}
	some(people, func(u *user) { u.login() })
	c.t.Logf("%d users logged in, in %v", len(people), time.Since(begun).Round(time.Second/10))
	return people
}

// some lets sixteen at a time do it, each lets all.
func some(people []*user, do func(*user)) {
	turns := make(chan struct{}, 16)
	each(people, func(u *user) {
		turns <- struct{}{}
		defer func() { <-turns }()
		do(u)
	})
}

func each(people []*user, do func(*user)) {
	var all sync.WaitGroup
	for _, u := range people {
		all.Go(func() { do(u) })
	}
	all.Wait()
}

// settle lets the users go on without faults until every session has met what
// the faults have brought upon it.
func (c *crowd) settle(people []*user, p provider) {
	c.t.Helper()
	ctx, end := context.WithCancel(c.t.Context())
	var going sync.WaitGroup
	going.Go(func() { each(people, func(u *user) { u.live(ctx, true) }) })
	c.until("no refresh is under way", func() bool { return c.s.OP.Tally().Open == 0 })
	b := read(c.s.OP.Ledger(), kinds(), p.forgiving)
	c.until("every session that must end has ended", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for family := range b.doomed {
			if c.alive[family] {
				return false
			}
		}
		return true
	})
	end()
	going.Wait()
	some(people, func(u *user) { // the last word of everybody
		u.requests(c.t.Context(), 1)
		c.until("everybody is served in the end", func() bool {
			a, err := u.browser.TryFetch(c.t.Context(), "/")
			return err == nil && a.Status == http.StatusOK
		})
	})
}

func (c *crowd) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Errorf("not within a minute: %s", what)
			return
		}
	}
}
