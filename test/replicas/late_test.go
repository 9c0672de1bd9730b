//go:build replicas

package replicas

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

// The provider takes longer than a lease, and all the time everybody asks. Its
// owner extends what it holds: there is one POST.
func TestAnAnswerThatTakesLongerThanALease(t *testing.T) {
	t.Parallel()
	all := start(t, 3, stack.Options{AccessTokenLife: 12 * time.Second, Plain: true, Config: "refresh: {lease: 3s, deadline: 15s}"})
	c := gather(t, all, 1)
	u := c.users[0]
	if err := all[0].OP.SetFault(op.Fault{GrantType: "refresh_token", Delay: op.Duration(8 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	all[0].OP.SetAccessTokenLife(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.traffic(ctx, 10, 200*time.Millisecond)
	}()
	eventually(t, "the new token is served everywhere", func() bool {
		return all[0].OP.Ledger().ReceivedBy["refresh_token"]["200"] > 0 && u.least() == 2
	})
	stop()
	<-done
	for i, r := range all {
		if got := c.ask(u, r); got != http.StatusOK {
			t.Errorf("replica %d answers %d", i, got)
		}
	}
	c.told()
	l := all[0].OP.Ledger()
	if l.ReceivedBy["refresh_token"]["200"] != 1 || len(l.ReceivedBy["refresh_token"]) != 1 || l.Reuse != 0 || l.Logins != 1 {
		t.Errorf("refreshes %v, %d came back, %d logins", l.ReceivedBy["refresh_token"], l.Reuse, l.Logins)
	}
	if c.count[http.StatusUnauthorized] > 0 {
		t.Errorf("answers %v", c.count)
	}
}

// A process is stopped while the answer is on its way and resumed when its lease
// and its deadline are over. It keeps the tokens it has, or takes over those that
// another got meanwhile; the session lives on.
func TestALateWinner(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env     []string
		policy  op.Policy
		refresh int // requests of the provider's until the session is in order again
	}{
		"keeps its own":      {refresh: 1},
		"adopts the other's": {[]string{"LAMPLIGHTER_PROVIDER_PROFILE=okta"}, op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(time.Minute)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := start(t, 2, stack.Options{AccessTokenLife: 2 * time.Minute, Plain: true, Env: tt.env, Config: "refresh: {lease: 3s, deadline: 5s}"})
			c := gather(t, all, 1)
			c.lateWinner(tt.policy, tt.refresh)
		})
	}
}

func (c *crowd) lateWinner(policy op.Policy, refreshes int) {
	c.t.Helper()
	late, other, provider := c.all[0].Lamplighter, c.all[1].Lamplighter, c.all[0].OP
	if err := provider.SetPolicy(policy); err != nil {
		c.t.Fatal(err)
	}
	if err := provider.SetFault(op.Fault{GrantType: "refresh_token", Times: 1, HoldAfter: true}); err != nil {
		c.t.Fatal(err)
	}
	u := c.users[0]
	asked := make(chan struct{})
	go func() { // until the token is not just new; the last one is answered when the process goes on
		defer close(asked)
		for pause.For(c.t.Context(), 100*time.Millisecond) {
			if s, err := admin.NewClient(late.Admin).Refresh(c.t.Context(), u.name); err != nil || s.Revision > 1 {
				return
			}
		}
	}()
	eventually(c.t, "the answer is ready", func() bool { return provider.Ledger().Held == 1 })
	late.Signal(syscall.SIGSTOP)
	stopped := time.Now()
	provider.Release()
	eventually(c.t, "the other refreshes too, or 8 s are over", func() bool {
		_, _ = admin.NewClient(other.Admin).Refresh(c.t.Context(), u.name)
		return time.Since(stopped) >= 8*time.Second && provider.Ledger().ReceivedBy["refresh_token"]["200"] == refreshes
	})
	late.Signal(syscall.SIGCONT)
	<-asked
	for i, r := range c.all {
		eventually(c.t, "a new token is served", func() bool { return c.ask(u, r) == http.StatusOK && u.newest >= 2 })
		if r.Lamplighter.Metric(`bff_sessions_ended_total{reason="lost_answer"}`) > 0 {
			c.t.Errorf("replica %d has ended the session", i)
		}
	}
	// Whoever lives has the token that is good.
	before := c.revision(other, u)
	eventually(c.t, "one more refresh", func() bool {
		_, _ = admin.NewClient(other.Admin).Refresh(c.t.Context(), u.name)
		return c.revision(other, u) > before
	})
	c.told()
	l := provider.Ledger()
	if got := l.ReceivedBy["refresh_token"]["200"]; got != refreshes+1 || l.Reuse != refreshes-1 || l.Forgiven != l.Reuse || l.ActiveFamilies != 1 || l.Logins != 1 {
		c.t.Errorf("%d refreshes, %d came back, %d forgiven, %d families live", got, l.Reuse, l.Forgiven, l.ActiveFamilies)
	}
	if len(c.count) != 1 {
		c.t.Errorf("answers %v", c.count)
	}
}

// revision is what operators see of u's session.
func (c *crowd) revision(l *stack.Lamplighter, u *user) uint64 {
	s, err := admin.NewClient(l.Admin).Session(c.t.Context(), u.name)
	if err != nil || s.Live == nil {
		c.t.Errorf("the session of %s: %+v, %v", u.family, s, err)
		return 0
	}
	return s.Revision
}
