package refresh_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// configured are the settings of a rig by default, changed.
func (r *rig) configured(change func(*refresh.Settings)) {
	r.t.Helper()
	profile, ok := session.ProfileNamed("generic")
	if !ok {
		r.t.Fatal("no profile generic")
	}
	s := refresh.Settings{
		Profile: profile, Policy: r.policy, Deadline: 10 * time.Second, Lease: 3 * time.Second,
		Sweep: refresh.SweepOptions{CheckInterval: 300 * time.Second, ActiveWithin: 30 * time.Minute, Rate: 300},
	}
	change(&s)
	r.ref.Configure(s)
}

// A flight under way keeps the deadline that others were told; the next has the new
// one, and so have its lease and what becomes of a lost answer.
func TestConfigureWhileAFlightIsUnderWay(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s, next := r.login(10*time.Minute), r.login(10*time.Minute)
		r.until(r.start.Add(10*time.Minute + time.Second))
		r.op.does(slow(8*time.Second, honest))
		r.ref.Start(r.view(s.ID))
		r.pass(time.Second)
		began := r.record(s.ID).Attempt
		r.configured(func(c *refresh.Settings) {
			c.Deadline, c.Lease, c.Profile.Replay = 2*time.Second, time.Second, session.ReplayNever
		})
		if _, err := r.wait(s.ID); err != nil {
			t.Errorf("the flight under way: %v", err)
		}
		if now := r.record(s.ID); began == nil || now.Session.Revision != 2 {
			t.Fatalf("began as %+v, is %+v", began, now)
		}
		if took := time.Since(r.posts(s.ID)[0].at); took < 8*time.Second {
			t.Errorf("it took %v", took)
		}

		start := time.Now()
		if _, err := r.wait(next.ID); err == nil {
			t.Error("a flight of the new settings outlived its deadline")
		}
		if took := time.Since(start); took != 2250*time.Millisecond { // and what is granted for reading
			t.Errorf("a flight of the new settings took %v", took)
		}
		r.pass(time.Second)
		r.wantEnded(next.ID, session.ReasonInDoubt) // past its end, under replay never
		r.wantPosts(s.ID, 1)
		r.wantPosts(next.ID, 1)
	})
}

// The sweep takes another pace and another interval at once, also while it paces or sleeps.
func TestConfigureTheSweep(t *testing.T) {
	play(t, setup{rate: 1, checkInterval: time.Hour}, func(r *rig) {
		all := r.loginMany(101, 10*time.Minute)
		r.until(r.start.Add(400 * time.Second))
		r.sweep()
		r.pass(10 * time.Second)
		if n := len(r.op.ledger()); n < 10 || n > 12 {
			t.Fatalf("%d starts in ten seconds", n)
		}
		r.configured(func(c *refresh.Settings) { c.Sweep.Rate, c.Sweep.CheckInterval = 50, time.Hour })
		r.pass(3 * time.Second)
		if n := len(r.op.ledger()); n != len(all) {
			t.Errorf("%d starts of %d three seconds after the change", n, len(all))
		}
		if n := r.metric("bff_sweep_configured_rate"); n != 50 {
			t.Errorf("configured rate is %v", n)
		}
		for _, s := range all {
			r.wantPosts(s.ID, 1)
			if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
				t.Fatal(err)
			}
		}
		r.pass(time.Minute) // nothing is due, and it sleeps for an hour
		looks := r.store.Calls(faultstore.Due)
		r.pass(time.Minute)
		if n := r.store.Calls(faultstore.Due); n != looks {
			t.Fatalf("%d looks in a minute of sleep", n-looks)
		}
		r.configured(func(c *refresh.Settings) { c.Sweep.CheckInterval = time.Second })
		r.pass(time.Minute)
		if n := r.store.Calls(faultstore.Due) - looks; n < 55 || n > 65 {
			t.Errorf("%d looks in a minute, want one a second", n)
		}
	})
}

// Jitter is that of the time at which the flight opens.
func TestConfigureJitter(t *testing.T) {
	play(t, setup{jitter: time.Hour}, func(r *rig) {
		first, second := r.login(10*time.Minute), r.login(10*time.Minute)
		r.until(r.start.Add(8 * time.Minute))
		r.ref.Start(r.view(first.ID))
		r.configured(func(c *refresh.Settings) { c.Jitter = 0 })
		r.ref.Start(r.view(second.ID))
		synctest.Wait()
		r.wantRevision(second.ID, 2)
		r.pass(time.Hour)
		r.wantPosts(first.ID, 1)
		r.wantPosts(second.ID, 1)
	})
}
