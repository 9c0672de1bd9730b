//go:build soak

package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/pause"
)

// watch finds out how many slots are in use in the mean, until ctx is done.
func (c *crowd) watch(ctx context.Context) {
	sum, n := 0.0, 0.0
	for pause.For(ctx, 100*time.Millisecond) {
		sum += c.s.Lamplighter.Metric("bff_token_refresh_in_flight")
		n++
	}
	c.slots = sum / n
}

// telling logs how much there was of the traffic: what was asked for, and what
// became of it.
func (c *crowd) telling(took time.Duration) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	ledger := c.s.OP.Ledger()
	b := read(ledger, kinds(), false)
	seconds := took.Seconds()
	lamp := c.s.Lamplighter
	c.t.Logf("%v of traffic: %d requests (%.0f/s), %d refreshes (%.0f/s), %d generations consumed, %d requests with a spent one, %d of them forgiven",
		took.Round(time.Second), c.counts["requests"], float64(c.counts["requests"])/seconds,
		b.refreshes, float64(b.refreshes)/seconds, b.consumed, ledger.Reuse, ledger.Forgiven)
	c.t.Logf("the sweep needs %.0f/s by lamplighter's count and may start %.0f/s; slots in use: %.1f in the mean; at most %d refreshes were open at the provider",
		lamp.Metric("bff_sweep_needed_rate"), lamp.Metric("bff_sweep_configured_rate"), c.slots, c.s.OP.Tally().MaxOpen)
	c.t.Logf("users: %v", c.counts)
	c.t.Logf("faults: %v", b.struck)
}

// verdict compares what the users saw with the provider's books.
func (c *crowd) verdict(p provider) {
	c.t.Helper()
	b := read(c.s.OP.Ledger(), kinds(), p.forgiving)
	c.lostAsMustBe(b)
	for _, bad := range b.repeats() {
		c.t.Error(bad)
	}
	for _, told := range c.told {
		if !b.excuses(told) {
			c.t.Errorf("a 401 for the session of %s, which lives: %+v", told.family, b.asked[told.family])
		}
	}
	for _, old := range c.stale {
		if !b.excusesStale(old) {
			c.t.Errorf("token %d of %s was served after its end: %+v", old.number, old.family, b.asked[old.family])
		}
	}
	for what, times := range c.wrong {
		c.t.Errorf("%d times: %s", times, what)
	}
	for _, k := range b.kinds {
		if b.struck[k.name] == 0 {
			c.t.Errorf("the fault %q struck nobody", k.name)
		}
	}
	c.t.Logf("%d answers 401 for a session that lived, %d with a token past its end by a wrong expires_in", len(c.told), len(c.stale))
}

// lostAsMustBe: the sessions that users found gone are those whose tokens the
// provider gave out in vain, and lamplighter counts them by the same reasons. A
// user who logs out may be quicker than the end.
func (c *crowd) lostAsMustBe(b books) {
	c.t.Helper()
	lost, out := map[session.Reason]int{}, map[session.Reason]int{}
	for family, d := range b.doomed {
		switch {
		case c.lost[family]:
			lost[d.end]++
		case c.out[family]:
			out[d.end]++
		default:
			c.t.Errorf("the session of %s lives after %s: %+v", family, d.end, b.asked[family])
		}
	}
	for family := range c.lost {
		if _, doomed := b.doomed[family]; !doomed {
			c.t.Errorf("the session of %s is lost, and need not be: %+v", family, b.asked[family])
		}
	}
	for _, reason := range session.Reasons() {
		if reason == session.ReasonLogout {
			continue
		}
		counted := int(c.s.Lamplighter.Metric(fmt.Sprintf("bff_sessions_ended_total{reason=%q}", reason)))
		if counted < lost[reason] || counted > lost[reason]+out[reason] {
			c.t.Errorf("lamplighter counts %d sessions ended by %s, the users lost %d, and %d have logged out", counted, reason, lost[reason], out[reason])
		}
	}
	c.t.Logf("lost, by the provider's books: %v", lost)
}
