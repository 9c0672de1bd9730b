package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// traffic is what users who ask again and again were answered.
type traffic struct {
	t     *testing.T
	s     *stack.Stack
	going sync.WaitGroup
	stop  chan struct{}

	mu     sync.Mutex
	down   []span
	failed []answered
	served int
	ousted int
}

type span struct{ from, to time.Time }

func (a span) overlaps(b span) bool { return a.from.Before(b.to) && b.from.Before(a.to) }

// answered is a request that was not served.
type answered struct {
	span
	what string
}

// begin logs n users in, each with a browser, and lets them ask.
func begin(t *testing.T, s *stack.Stack, n int) *traffic {
	t.Helper()
	x := &traffic{t: t, s: s, stop: make(chan struct{})}
	for i := range n {
		b := s.Browser(t)
		b.Login("/", fmt.Sprint("user", i))
		x.going.Go(func() { x.ask(b) })
	}
	t.Cleanup(x.end)
	return x
}

func (x *traffic) end() {
	select {
	case <-x.stop:
	default:
		close(x.stop)
	}
	x.going.Wait()
}

// ask paces one user's requests, so that they leave the machine to what is tested.
func (x *traffic) ask(b *stack.Browser) {
	for pace := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case <-x.stop:
			pace.Stop()
			return
		case <-pace.C:
		}
		from := time.Now()
		a, err := b.TryFetch(x.t.Context(), "/")
		x.mu.Lock()
		switch {
		case err == nil && a.Status == http.StatusOK:
			x.served++
		default:
			x.failed = append(x.failed, answered{span{from, time.Now()}, fmt.Sprint(a.Status, " ", a.Body, " ", err)})
		}
		if err == nil && (a.Status == http.StatusUnauthorized || len(a.Header.Values("Set-Cookie")) > 0) {
			x.ousted++
		}
		x.mu.Unlock()
	}
}

// disturb runs what, during which requests may fail, and then waits until every
// user has been served and the provider has refreshed more.
func (x *traffic) disturb(what func()) {
	x.t.Helper()
	away := span{from: time.Now()}
	what()
	away.to = time.Now()
	x.mu.Lock()
	x.down = append(x.down, away)
	served := x.served
	x.mu.Unlock()
	before := x.s.OP.Tally().Accepted
	eventually(x.t, "requests and refreshes go on", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.served >= served+100 && x.s.OP.Tally().Accepted >= before+5
	})
}

// verdict: nothing failed but while something was down, and nobody was logged out.
func (x *traffic) verdict() {
	x.t.Helper()
	x.end()
	after := 0
	for _, f := range x.failed {
		excused := false
		for _, d := range x.down {
			excused = excused || d.overlaps(f.span)
		}
		if !excused {
			after++
			x.t.Errorf("failed though everything was up, after %v: %s", f.to.Sub(f.from), f.what)
		}
	}
	if x.ousted > 0 {
		x.t.Errorf("%d answers that log somebody out", x.ousted)
	}
	x.t.Logf("%d requests served, %d failed while something was down, %d after that", x.served, len(x.failed)-after, after)
}

// Everything is restarted, killed and stopped for a while, with requests and
// refreshes going on: what fails fails meanwhile, and nothing is left of it.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	const users = 20
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Provider: func(o *op.Options) { o.ES256 = true }})
	lamp := s.Lamplighter
	x := begin(t, s, users)
	before := lamp.MostResources()

	x.disturb(func() { s.RestartEnvoy(t) })
	x.disturb(func() {
		lamp.Signal(syscall.SIGSTOP)
		time.Sleep(3 * time.Second) // how long it is stopped
		lamp.Signal(syscall.SIGCONT)
	})
	lamp.BackTo(t, before)

	stored := s.OP.Tally().Accepted // by the processes before
	x.disturb(func() {
		if err := lamp.Terminate(); err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
		stored = s.OP.Tally().Accepted
		lamp.Start()
	})
	// A process killed between the provider's answer and the store's loses it, and
	// no one can help that. So it is killed when the provider has answered nothing
	// that is not stored, and holds what it has not answered.
	fault(t, s, op.Fault{HoldBefore: true})
	eventually(t, "the provider holds refreshes, and all others are stored", func() bool {
		l, tally := s.OP.Ledger(), s.OP.Tally()
		return l.Held >= 2 && l.Held == tally.Open && tally.Accepted-stored == int(lamp.Metric("bff_token_refresh_success_total"))
	})
	x.disturb(func() {
		lamp.Kill()
		eventually(t, "the provider drops what the dead process asked for", func() bool { return s.OP.Ledger().Held == 0 })
		s.OP.ClearFaults()
		lamp.Start()
	})
	x.verdict()
	lamp.BackTo(t, before)
	if l := s.OP.Ledger(); l.Logins != users || l.Revoked != 0 {
		t.Errorf("%d logins of %d users, %d grants revoked", l.Logins, users, l.Revoked)
	}
	usedOnce(t, s)
}
