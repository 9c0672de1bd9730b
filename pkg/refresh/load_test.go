package refresh_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/race"
)

// load is a hundred thousand logins within a minute at the default pace, or a
// twentieth of all of it: 3 slots of 125 ms make the 24 starts a second that a
// twentieth of 48 slots of 100 ms would.
type load struct {
	users, rate, lowRate, slots int
	latency                     time.Duration
}

func fullLoad() load {
	if race.Enabled {
		return load{users: 5000, rate: 15, lowRate: 5, slots: 3, latency: 125 * time.Millisecond}
	}
	return load{users: 100_000, rate: 300, lowRate: 100, slots: 48, latency: 100 * time.Millisecond}
}

const loadedLife = 15 * time.Minute // of an access token

// TestAHundredThousandLogins within a minute: at the default pace no token
// expires, and nothing is ever done faster, or by more goroutines, than allowed.
func TestAHundredThousandLogins(t *testing.T) {
	l := fullLoad()
	t.Run("activity by Touch only", func(t *testing.T) {
		l.bear(t, l.rate, func(c *crowd) {
			c.work(2*loadedLife + time.Minute)
			// A token bucket that holds one: the start that was saved up, and the rate.
			if n := busiestSecond(c.op.ledger()); n > l.rate+1 || n < l.rate {
				t.Errorf("%d sweep starts in a second, want %d", n, l.rate)
			}
			c.neverExpired(l.latency)
			c.allAlive()
		})
	})
	t.Run("Checks as well", func(t *testing.T) {
		l.bear(t, l.rate, func(c *crowd) {
			c.work(9 * time.Minute) // by now the sweep is a minute and a half behind
			c.come(loadedLife-9*time.Minute+time.Minute, time.Minute)
			most := l.slots * int(time.Second/l.latency) // a slot starts again no sooner than its latency
			if n := busiestSecond(c.op.ledger()); n != most {
				t.Errorf("%d starts in the busiest second, want the %d that the slots allow", n, most)
			}
			c.neverExpired(l.latency)
			c.allAlive()
		})
	})
	t.Run("a rate that is too low", func(t *testing.T) { l.bear(t, l.lowRate, l.overload) })
}

// overload: the sweep goes on at its rate, on tokens that can still be saved; it
// is said that the rate is too low; and whoever comes is served.
func (l load) overload(c *crowd) {
	c.work(loadedLife + 5*time.Minute)
	if need, have := c.metric("bff_sweep_needed_rate"), c.metric("bff_sweep_configured_rate"); need <= have {
		c.t.Errorf("needed rate %v, configured %v", need, have)
	}
	if !strings.Contains(c.log.String(), "sweep.rate is lower than the active sessions need") {
		c.t.Error("nothing was said")
	}
	posts := c.op.ledger()
	if n := busiestSecond(posts); n > l.lowRate+1 {
		c.t.Errorf("%d sweep starts in a second, want %d", n, l.lowRate)
	}
	if n := c.tooLate(0); n > 0 {
		c.t.Errorf("%d of %d sweep starts were for a token that had expired", n, len(posts))
	}
	const busy = 10 * time.Minute // in the first ten the overload was still to come
	if n, most := since(posts, time.Now().Add(-busy)), l.lowRate*int(busy/time.Second); n < most*9/10 {
		c.t.Errorf("%d sweep starts in %v of overload, want nearly %d", n, busy, most)
	}
	c.come(3*time.Minute, time.Minute)
	c.comeOnce(time.Minute)
	c.allAlive()
	if c.expired.Load() == 0 || c.refused.Load() > 0 {
		c.t.Errorf("%d requests met an expired token, %d of them got none", c.expired.Load(), c.refused.Load())
	}
}

// bear runs f with the users logged in under a running sweep. Nothing else runs
// in the process meanwhile: so the goroutines that were not there before are the
// bubble's, and those of them that are no callers are ours.
func (l load) bear(t *testing.T, rate int, f func(*crowd)) {
	before := runtime.NumGoroutine()
	set := setup{rate: rate, inFlight: l.slots, jitter: 30 * time.Millisecond}
	set.activeWithin = loadedLife // so that a session lives on its uses, no longer on its login, before the test is over
	inBubble(t, set, func(r *rig) {
		r.op.does(slow(l.latency, honest))
		ctx, stop := context.WithCancel(context.Background())
		var beside sync.WaitGroup
		defer beside.Wait()
		defer stop()
		beside.Go(func() { r.life.Run(ctx) })
		beside.Go(func() { r.watchGoroutines(ctx, before, l.slots+16) })
		r.sweep()
		f(r.crowded(l.users, loadedLife))
	})
}

// busiestSecond is the most POSTs in any second, to the nanosecond.
func busiestSecond(posts []post) (most int) {
	first := 0
	for i, p := range posts {
		for !p.at.Before(posts[first].at.Add(time.Second)) {
			first++
		}
		most = max(most, i+1-first)
	}
	return most
}

// neverExpired expects every refresh to have brought its token before a request
// could have met the old one expired.
func (c *crowd) neverExpired(latency time.Duration) {
	w := c.policy.Window(c.record(c.ids[0]).Session)
	if n := c.tooLate(latency + w.Exp.Sub(w.ExpiredAt)); n > 0 {
		c.t.Errorf("%d tokens were met expired", n)
	}
}

// tooLate counts the POSTs whose token had expired by so long after them.
func (c *crowd) tooLate(after time.Duration) (n int) {
	issued := make(map[session.ID]time.Time, len(c.ids))
	for _, id := range c.ids {
		issued[id] = c.record(id).Session.CreatedAt
	}
	for _, p := range c.op.ledger() {
		if !p.at.Add(after).Before(issued[p.id].Add(loadedLife)) {
			n++
		}
		issued[p.id] = p.at
	}
	return n
}

// allAlive expects every user to have a session with a token that lives.
func (c *crowd) allAlive() {
	for i, id := range c.ids {
		if s := c.record(id).Session; !time.Now().Before(s.Token.Exp()) {
			c.t.Fatalf("user %d's token has expired at the end", i)
		}
	}
}
