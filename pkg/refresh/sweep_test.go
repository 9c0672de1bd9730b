package refresh_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// loginMany makes n sessions whose token lives for life.
func (r *rig) loginMany(n int, life time.Duration) []session.Session {
	r.t.Helper()
	all := make([]session.Session, n)
	for i := range all {
		all[i] = r.login(life)
	}
	return all
}

// TestInFlightCap: requests and sweep together never make more POSTs at once,
// and they do make as many.
func TestInFlightCap(t *testing.T) {
	play(t, setup{inFlight: 5}, func(r *rig) {
		all := r.loginMany(120, 5*time.Minute)
		r.op.does(slow(time.Second, honest))
		r.until(r.start.Add(210 * time.Second)) // all are due
		r.sweep()
		for _, s := range all[:60] {
			r.ref.Start(r.view(s.ID))
		}
		r.pass(30 * time.Second)
		if n := r.op.mostAtOnce(); n != 5 {
			t.Errorf("%d POSTs at once, want 5", n)
		}
		for _, s := range all {
			r.wantPosts(s.ID, 1)
			r.wantRevision(s.ID, 2)
		}
		if n := r.metric("bff_sweep_configured_rate"); n != 300 {
			t.Errorf("configured rate is %v", n)
		}
	})
}

// TestSweepRate: a restart with everything due at once starts no more a second
// than it may, one by one.
func TestSweepRate(t *testing.T) {
	play(t, setup{rate: 10}, func(r *rig) {
		all := r.loginMany(600, 10*time.Minute) // more than two pages
		r.op.does(slow(50*time.Millisecond, honest))
		r.until(r.start.Add(400 * time.Second))
		r.sweep()
		r.pass(61 * time.Second)
		posts := r.op.ledger()
		for i := 1; i < len(posts); i++ {
			if gap := posts[i].at.Sub(posts[i-1].at); gap < 99*time.Millisecond {
				t.Fatalf("start %d came %v after the one before, want 100 ms", i+1, gap)
			}
		}
		if len(posts) < 600 {
			t.Errorf("%d starts in a minute, want all 600", len(posts))
		}
		for _, s := range all {
			r.wantPosts(s.ID, 1)
		}
	})
}

// TestRequestsBypassTheRate: a request does not queue behind a sweep that is
// paced down to a crawl.
func TestRequestsBypassTheRate(t *testing.T) {
	play(t, setup{rate: 1}, func(r *rig) {
		all := r.loginMany(50, 10*time.Minute)
		r.until(r.start.Add(400 * time.Second))
		r.sweep()
		synctest.Wait()
		start := time.Now()
		for _, s := range all[30:] {
			if v := r.view(s.ID); v.Session.Revision == 1 { // one of them the sweep has begun with
				if _, err := r.waitFor(v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("20 requests took %v", took)
		}
		r.pass(time.Minute)
		for _, s := range all {
			r.wantPosts(s.ID, 1)
		}
	})
}

// TestEarliestExpiryFirst: within one page, whatever the order they fell due.
func TestEarliestExpiryFirst(t *testing.T) {
	play(t, setup{rate: 10}, func(r *rig) {
		const n = 40
		lives := rand.New(rand.NewPCG(1, 2)).Perm(n)
		for _, i := range lives {
			r.login(time.Duration(600+2*i) * time.Second) // all due from 405 s at the latest on
		}
		r.until(r.start.Add(500 * time.Second))
		r.sweep()
		r.pass(10 * time.Second)
		posts := r.op.ledger()
		if len(posts) != n {
			t.Fatalf("%d starts, want %d", len(posts), n)
		}
		for i := range posts {
			if posts[i].gen.family != 1+indexOf(lives, i) {
				t.Fatalf("start %d was family %d, want the one that expires next", i+1, posts[i].gen.family)
			}
		}
	})
}

func indexOf(all []int, want int) int {
	for i, v := range all {
		if v == want {
			return i
		}
	}
	return -1
}

// TestUnusedSessionsAreParked: the sweep keeps a session alight for as long as
// it is used, leaves it alone after that, and comes back when it is used again.
func TestUnusedSessionsAreParked(t *testing.T) {
	play(t, setup{activeWithin: 30 * time.Minute, idle: 8 * time.Hour}, func(r *rig) {
		s := r.login(10 * time.Minute)
		r.sweep()
		r.pass(29 * time.Minute)
		active := len(r.posts(s.ID))
		if active < 3 {
			t.Fatalf("%d refreshes in 29 minutes of a 10-minute token", active)
		}
		r.pass(30 * time.Minute)
		if n := len(r.posts(s.ID)); n > active+1 {
			t.Fatalf("%d refreshes after the last use was half an hour ago", n-active)
		}
		parked := len(r.posts(s.ID))
		r.pass(3 * time.Hour)
		r.wantPosts(s.ID, parked)

		// Used again: its request renews it, the next flush brings it back.
		if err := r.life.Use(context.Background(), r.view(s.ID), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.wait(s.ID); err != nil {
			t.Fatal(err)
		}
		if err := r.mem.Touch(context.Background(), map[session.ID]time.Time{s.ID: time.Now()}); err != nil {
			t.Fatal(err)
		}
		r.pass(20 * time.Minute)
		if n := len(r.posts(s.ID)); n < parked+3 {
			t.Errorf("%d refreshes in 20 minutes after the use, want one by the request and two by the sweep", n-parked)
		}
	})
}

// TestTouchBringsAParkedSessionBack: while its token still lives, a use alone is
// enough.
func TestTouchBringsAParkedSessionBack(t *testing.T) {
	play(t, setup{activeWithin: time.Minute, idle: 8 * time.Hour}, func(r *rig) {
		s := r.login(10 * time.Minute)
		r.sweep()
		r.pass(9 * time.Minute)
		r.wantPosts(s.ID, 0)
		if err := r.mem.Touch(context.Background(), map[session.ID]time.Time{s.ID: time.Now()}); err != nil {
			t.Fatal(err)
		}
		r.ref.Kick()
		r.pass(time.Second)
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestExpiredTokensAreLeftToRequests: found at start, and grown while they wait
// for a slot.
func TestExpiredTokensAreLeftToRequests(t *testing.T) {
	play(t, setup{inFlight: 1}, func(r *rig) {
		dead, first, second := r.login(10*time.Second), r.login(60*time.Second), r.login(61*time.Second)
		r.until(r.start.Add(59 * time.Second))
		r.op.does(slow(3*time.Second, honest))
		r.sweep()
		r.pass(time.Minute)
		r.wantPosts(dead.ID, 0)
		r.wantPosts(second.ID, 0) // its token ran out while the first had the slot
		if n := len(r.posts(first.ID)); n < 1 {
			t.Errorf("the sweep started %d refreshes of what it could save", n)
		}
		if v, err := r.wait(dead.ID); err != nil || v.Session.Revision != 2 {
			t.Errorf("the request path: %v, %v", v, err)
		}
	})
}

// TestNeverSwept: no refresh token, or a life too short for a paced sweep.
func TestNeverSwept(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		bare := r.op.issue(60 * time.Second)
		bare.Refresh = session.RefreshToken{}
		none, short, least := r.loginWith(bare), r.login(8*time.Second-1), r.login(8*time.Second)
		r.sweep()
		r.pass(2 * time.Minute)
		r.wantPosts(none.ID, 0)
		r.wantPosts(short.ID, 0)
		if n := len(r.posts(least.ID)); n < 120/8 {
			t.Errorf("%d refreshes of an 8 s token in two minutes", n)
		}
		// A request renews the short one, and says why the sweep will not.
		if v, err := r.wait(short.ID); err != nil || v.Session.Revision != 2 {
			t.Fatalf("got %v, %v", v, err)
		}
		if !strings.Contains(r.log.String(), "access tokens live too short to be refreshed in the background") {
			t.Error("nothing was said about the short life")
		}
		r.pass(time.Minute)
		r.wantPosts(short.ID, 1)
	})
}

// TestSweepSleeps: with nothing due it looks once a check interval, whether the
// store is empty or holds sessions that are due tomorrow.
func TestSweepSleeps(t *testing.T) {
	t.Parallel()
	for name, sessions := range map[string]int{"empty": 0, "due tomorrow": 100} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{checkInterval: 5 * time.Minute}, func(r *rig) {
				r.loginMany(sessions, 24*time.Hour)
				r.sweep()
				r.pass(time.Second)
				before := r.store.Calls(faultstore.Due)
				r.pass(time.Hour)
				if n := r.store.Calls(faultstore.Due) - before; n < 11 || n > 12 {
					t.Errorf("looked %d times in an hour, want every five minutes", n)
				}
			})
		})
	}
}

// TestSweepWakesForTheNextDue: not a tick earlier, not later.
func TestSweepWakesForTheNextDue(t *testing.T) {
	play(t, setup{checkInterval: time.Hour}, func(r *rig) {
		s := r.login(30 * time.Minute)
		r.sweep()
		r.pass(time.Second)
		before := r.store.Calls(faultstore.Due)
		r.until(s.SweepAt)
		posts := r.posts(s.ID)
		if len(posts) != 1 || !posts[0].at.Equal(s.SweepAt) {
			t.Fatalf("ledger %+v, want one POST at %v", posts, s.SweepAt)
		}
		if n := r.store.Calls(faultstore.Due) - before; n != 1 {
			t.Errorf("looked %d times for one due session", n)
		}
	})
}

// TestKick: a login wakes a sweep that would sleep for an hour, and a burst of
// logins does not become a burst of looks.
func TestKick(t *testing.T) {
	play(t, setup{checkInterval: time.Hour}, func(r *rig) {
		r.sweep()
		r.pass(time.Minute)
		s := r.login(10 * time.Second)
		r.pass(10 * time.Second)
		if n := len(r.posts(s.ID)); n < 1 || r.record(s.ID).Session.Revision < 2 {
			t.Fatalf("%d refreshes: the sweep slept through the new session", n)
		}
		before := r.store.Calls(faultstore.Due)
		for range 2000 {
			r.ref.Kick()
			r.pass(5 * time.Millisecond)
		}
		if n := r.store.Calls(faultstore.Due) - before; n > 110 {
			t.Errorf("2000 kicks in 10 s became %d looks, want at most one in 100 ms", n)
		}
	})
}

// TestSweepSurvivesTheStore: a due index that cannot be read is asked again a
// second later, said, and is no reason to stop.
func TestSweepSurvivesTheStore(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.store.Set(faultstore.Down, faultstore.Due)
		r.sweep()
		r.until(r.start.Add(45 * time.Second))
		if n := r.store.Calls(faultstore.Due); n < 40 || n > 50 {
			t.Errorf("asked %d times in 45 s", n)
		}
		r.store.Mend()
		r.pass(2 * time.Second)
		r.wantRevision(s.ID, 2)
		for _, said := range []string{"the sweep pauses", "the sweep goes on"} {
			if n := strings.Count(r.log.String(), said); n != 1 {
				t.Errorf("%q was said %d times, want once", said, n)
			}
		}
	})
}

// TestNeededRateWarning: computed over the active sessions while the sweep runs,
// a metric, and a warning when the configured rate is less.
func TestNeededRateWarning(t *testing.T) {
	t.Parallel()
	const said = "sweep.rate is lower than the active sessions need"
	for name, tt := range map[string]struct {
		rate int
		warn bool
	}{"enough": {11, false}, "too low": {9, true}} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{rate: tt.rate}, func(r *rig) {
				r.sweep()
				r.pass(time.Second)
				if n := r.metric("bff_sweep_needed_rate"); n != 0 {
					t.Errorf("nobody needs %v", n)
				}
				r.loginMany(350, time.Minute) // 10 a second
				r.pass(2 * time.Minute)       // it is worked out once a minute, between two pages
				if n := r.metric("bff_sweep_needed_rate"); n < 9.99 || n > 10.01 {
					t.Errorf("needed rate %v, want 10", n)
				}
				if got := strings.Contains(r.log.String(), said); got != tt.warn {
					t.Errorf("warned: %v, want %v", got, tt.warn)
				}
			})
		})
	}
}

// TestNothingExpires is the promise of the window formula: an hour of tokens
// from twenty seconds to an hour at a provider that takes its time and refuses
// one request in twenty, and no session is ever met expired, at less than twice
// the ideal number of requests.
func TestNothingExpires(t *testing.T) {
	play(t, setup{activeWithin: 24 * time.Hour, idle: 24 * time.Hour}, func(r *rig) {
		const latency = 150 * time.Millisecond
		busy := refuses(session.Transient)
		r.op.does(slow(latency, func(ctx context.Context, take func() session.Answer) session.Answer {
			if len(r.op.ledger())%20 == 0 {
				return busy(ctx, take)
			}
			return take()
		}))
		lives := []time.Duration{20 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
		var all []session.Session
		r.sweep()
		for range 4 {
			for _, life := range lives {
				r.pass(377 * time.Millisecond)
				all = append(all, r.login(life))
			}
		}
		r.pass(time.Hour)
		ideal := 0.0
		for _, s := range all {
			ideal += float64(time.Hour) / float64(s.Token.Lifetime)
			var last time.Time // POST before this one
			for _, p := range r.posts(s.ID) {
				if p.rev > s.Revision { // that one renewed it
					s.Revision, s.Token.Issued = p.rev, last
				}
				last = p.at
				if met := p.at.Add(latency); !met.Before(r.policy.Window(s).ExpiredAt) {
					t.Fatalf("a token of %v at revision %d was met expired", s.Token.Lifetime, p.rev)
				}
			}
			if now := r.record(s.ID).Session; r.policy.Window(now).Freshness(time.Now()) == session.Expired {
				t.Errorf("a token of %v has expired at the end", s.Token.Lifetime)
			}
		}
		if n := float64(len(r.op.ledger())); n > 1.9*ideal {
			t.Errorf("%v POSTs, ideal %v", n, ideal)
		}
	})
}
