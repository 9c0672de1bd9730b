package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/prometheus/client_golang/prometheus"
)

func TestCreateIsDurableAndVisible(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		if got := r.used(s.ID); !got.Equal(s.CreatedAt) {
			t.Errorf("created in use at %v", got)
		}
		if r.changed() != 1 {
			t.Errorf("the sweep was told %d times", r.changed())
		}
		synctest.Wait()
		before := r.store.Calls(faultstore.Get)
		r.view(s.ID)
		if r.store.Calls(faultstore.Get) != before {
			t.Error("the login was not published")
		}
		if err := r.life.Create(context.Background(), s); !errors.Is(err, session.ErrExists) {
			t.Errorf("a second time: %v, want ErrExists", err)
		}
		r.store.Set(faultstore.Down, faultstore.Create)
		other := r.newSession()
		if err := r.life.Create(context.Background(), other); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("without a store: %v, want ErrUnavailable", err)
		}
		if _, err := r.cache.Get(context.Background(), other.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a session that is not durable is visible: %v", err)
		}
	})
}

// recorder stands for store and cache at once, and writes down who is asked when.
type recorder struct {
	*faultstore.Store
	mu     sync.Mutex
	events []string
}

func (e *recorder) add(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, what)
}

func (e *recorder) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	s, err := e.Store.End(ctx, id, why, only)
	e.add("durable")
	return s, err
}

func (e *recorder) Publish(store.Record) *session.View { return nil }
func (e *recorder) Forget(session.ID)                  { e.add("forgotten") }
func (e *recorder) Revoke(context.Context, session.Session) error {
	e.add("revoked")
	return nil
}

// TestEndOrder: durable, then forgotten, then answered, then revoked.
func TestEndOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &recorder{Store: faultstore.New(memstore.New())}
		life := lifecycle.New(lifecycle.Options{
			Store: e, Cache: e, Revoker: e, Settings: lifecycle.Settings{Idle: idle}, Log: slog.New(slog.DiscardHandler), Metrics: lifecycle.NewMetrics(prometheus.NewRegistry()),
		})
		s := (&rig{}).newSession()
		if err := life.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		gate := faultstore.NewGate()
		e.Set(gate.After, faultstore.End)
		var wg sync.WaitGroup
		wg.Go(func() {
			last, err := life.End(context.Background(), s.ID, session.ReasonLogout)
			if err != nil || last.ID != s.ID || last.Token.Refresh != s.Token.Refresh {
				t.Errorf("end: %v, %v", last.ID, err)
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.events) < 2 || !slices.Equal(e.events[:2], []string{"durable", "forgotten"}) {
				t.Errorf("before the answer: %v", e.events)
			}
		})
		synctest.Wait()
		if len(e.events) != 0 {
			t.Errorf("before it was durable: %v", e.events)
		}
		gate.Open()
		wg.Wait()
		if err := life.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.events, []string{"durable", "forgotten", "revoked"}) {
			t.Errorf("in all: %v", e.events)
		}
	})
}

// TestEndThatFailed: nothing is forgotten and nothing revoked; a second try, of
// what may have taken effect, makes it final.
func TestEndThatFailed(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]faultstore.Rule{"before effect": faultstore.Down, "after effect": faultstore.LoseReply} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s := r.login()
				r.store.Set(faultstore.Times(1, rule), faultstore.End)
				if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); !errors.Is(err, session.ErrUnavailable) {
					t.Fatalf("end: %v, want ErrUnavailable", err)
				}
				synctest.Wait()
				if n := len(r.revoker.seen()); n != 0 {
					t.Errorf("%d tokens were revoked", n)
				}
				if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
					t.Fatalf("second try: %v", err)
				}
				r.wantEnded(s.ID, session.ReasonLogout)
			})
		})
	}
}

func TestEndTwice(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		last, err := r.life.End(context.Background(), s.ID, session.ReasonIdle)
		if err != nil || last.Revision != 0 {
			t.Errorf("a second time: %v, revision %d", err, last.Revision)
		}
		synctest.Wait()
		r.wantEnded(s.ID, session.ReasonLogout)
		if n := len(r.revoker.seen()); n != 1 {
			t.Errorf("%d revocations, want 1", n)
		}
		if n := r.metric("bff_sessions_ended_total"); n != 1 {
			t.Errorf("counted %v ends, want 1", n)
		}
		if _, err := r.life.End(context.Background(), session.ID{1}, session.ReasonLogout); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a session that never was: %v", err)
		}
	})
}

// TestEndIfWhatMoved: a condition that does not hold has no effect at all.
func TestEndIfWhatMoved(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		for name, only := range map[string]store.Cond{
			"not the attempt":  {Attempt: &store.Attempt{ID: store.AttemptID{1}, SessionID: s.ID, Revision: 1}},
			"another revision": {Revision: 7},
			"used since":       {UnusedSince: s.CreatedAt.Add(-1)},
		} {
			if _, err := r.life.EndIf(context.Background(), s.ID, session.ReasonDead, only); !errors.Is(err, session.ErrMoved) {
				t.Errorf("%s: %v, want ErrMoved", name, err)
			}
		}
		r.wantAlive(s.ID)
		if n := r.metric("bff_sessions_ended_total"); n != 0 {
			t.Errorf("counted %v ends", n)
		}
	})
}

// TestRevocation: of which ends, tried how often.
func TestRevocation(t *testing.T) {
	t.Parallel()
	second := time.Second
	for name, tt := range map[string]struct {
		why   session.Reason
		fails int
		hold  time.Duration
		want  []time.Duration // the calls, since the end
		lost  bool
	}{
		"at once":                {session.ReasonLogout, 0, 0, []time.Duration{0}, false},
		"idle":                   {session.ReasonIdle, 0, 0, []time.Duration{0}, false},
		"absolute":               {session.ReasonAbsolute, 0, 0, []time.Duration{0}, false},
		"foreign":                {session.ReasonForeign, 0, 0, []time.Duration{0}, false},
		"not what is dead":       {session.ReasonDead, 0, 0, nil, false},
		"not what is lost":       {session.ReasonLostAnswer, 0, 0, nil, false},
		"retried":                {session.ReasonLogout, 2, 0, []time.Duration{0, second, 4 * second}, false},
		"the last try":           {session.ReasonLogout, 3, 0, []time.Duration{0, second, 4 * second, 13 * second}, false},
		"given up":               {session.ReasonLogout, 9, 0, []time.Duration{0, second, 4 * second, 13 * second}, true},
		"a provider that hangs ": {session.ReasonLogout, 0, time.Hour, []time.Duration{0, 6 * second, 14 * second, 28 * second}, true},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				r.revoker.fail, r.revoker.hold = tt.fails, tt.hold
				s := r.login()
				end := time.Now()
				if _, err := r.life.End(context.Background(), s.ID, tt.why); err != nil {
					t.Fatal(err)
				}
				if time.Since(end) != 0 {
					t.Error("the end waited for the provider")
				}
				r.pass(time.Minute)
				calls := r.revoker.seen()
				if len(calls) != len(tt.want) {
					t.Fatalf("%d tries, want %d", len(calls), len(tt.want))
				}
				for i, c := range calls {
					if c.at.Sub(end) != tt.want[i] || c.token != s.Token.Refresh.Reveal() {
						t.Errorf("try %d after %v, want %v", i+1, c.at.Sub(end), tt.want[i])
					}
				}
				if got := r.metric("bff_token_revocation_failed_total") == 1; got != tt.lost {
					t.Errorf("counted as not revoked: %v, want %v", got, tt.lost)
				}
				if got := strings.Contains(r.log.String(), "refresh token was not revoked"); got != tt.lost {
					t.Errorf("said: %v, want %v", got, tt.lost)
				}
			})
		})
	}
}

func TestNothingToRevoke(t *testing.T) {
	play(t, func(r *rig) {
		s := r.newSession()
		s.Token.Refresh = session.RefreshToken{}
		if err := r.life.Create(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Minute)
		if n := len(r.revoker.seen()); n != 0 {
			t.Errorf("%d revocations of nothing", n)
		}
	})
}

// TestClose: flushes, waits for revocations while it may, and then cuts them.
func TestClose(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		patience, took time.Duration
		revoked        bool
	}{
		"waits":    {time.Minute, 4 * time.Second, true},
		"gives up": {2 * time.Second, 2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s, stays := r.login(), r.login()
				r.pass(10 * time.Second)
				r.mustUse(stays.ID)
				r.revoker.fail = 2 // good after four seconds
				if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(context.Background(), tt.patience)
				defer cancel()
				start := time.Now()
				if err := r.life.Close(ctx); err != nil {
					t.Errorf("close: %v", err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("close took %v, want %v", took, tt.took)
				}
				if got := r.used(stays.ID); !got.Equal(start) {
					t.Errorf("the store knows a use at %v, want %v", got, start)
				}
				if lost := r.metric("bff_token_revocation_failed_total") == 1; lost == tt.revoked {
					t.Errorf("counted as not revoked: %v", lost)
				}
				calls := len(r.revoker.seen())
				r.life.Revoke(s) // too late: refused, not leaked
				r.pass(time.Minute)
				if n := len(r.revoker.seen()); n != calls {
					t.Errorf("%d revocations after Close", n-calls)
				}
			})
		})
	}
}

func TestCloseWithTheStoreDown(t *testing.T) {
	play(t, func(r *rig) {
		r.login()
		r.store.Set(faultstore.Down, faultstore.Touch)
		if err := r.life.Close(context.Background()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("close: %v, want ErrUnavailable", err)
		}
	})
}

// TestRevocationsDoNotPileUp: more than fit in memory are not tried, and counted.
func TestRevocationsDoNotPileUp(t *testing.T) {
	play(t, func(r *rig) {
		const most, more = 10_000, 50
		r.revoker.hold = time.Second
		s := r.newSession()
		for range most + more {
			r.life.Revoke(s)
		}
		r.pass(most * time.Second)
		if n := len(r.revoker.seen()); n != most {
			t.Errorf("%d revocations, want %d", n, most)
		}
		if n := r.metric("bff_token_revocation_failed_total"); n != more {
			t.Errorf("%v counted as not revoked, want %d", n, more)
		}
		r.life.Revoke(s)
		r.pass(time.Second)
		if n := len(r.revoker.seen()); n != most+1 {
			t.Errorf("%d revocations, want one more", n)
		}
	})
}

// TestReapWaitsForRevocations: while the provider is away no more sessions are ended than
// can wait to be revoked; all of them are when it is back.
func TestReapWaitsForRevocations(t *testing.T) {
	play(t, func(r *rig) {
		const many = 7000
		for range many {
			r.login()
		}
		r.revoker.set(0, time.Hour) // each try ends by its own deadline
		r.run()
		r.pass(idle + 3*flush)
		if n := r.metric("bff_sessions_ended_total", "idle"); n < 5000 || n >= 5600 {
			t.Errorf("%v ended while none can be revoked", n)
		}
		tried := r.metric("bff_token_revocation_failed_total")
		r.revoker.set(0, 0)
		r.pass(5 * flush)
		if n := r.metric("bff_sessions_ended_total", "idle"); n != many {
			t.Errorf("%v ended, want all", n)
		}
		if n := r.metric("bff_token_revocation_failed_total"); n > tried+8 {
			t.Errorf("%v not revoked though the provider is back", n-tried)
		}
	})
}

// TestRevokeWhileClosing: flights that outlive their own stop may still end
// sessions while Close waits.
func TestRevokeWhileClosing(t *testing.T) {
	play(t, func(r *rig) {
		s := r.newSession()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { r.life.Revoke(s) })
		}
		wg.Go(func() {
			if err := r.life.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	})
}

// TestReap: what nobody comes back to ends by itself, with its reason; what is
// used stays; and more than a page goes in one round.
func TestReap(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		const many = 1100
		var unused []session.Session
		for range many {
			unused = append(unused, r.login())
		}
		used := r.login()
		for range 3 {
			r.pass(20 * time.Minute)
			r.mustUse(used.ID)
		}
		if n := r.metric("bff_sessions_ended_total"); n != 0 {
			t.Fatalf("%v sessions ended at the last moment of their idle time", n)
		}
		r.pass(flush)
		for _, s := range unused {
			r.wantEnded(s.ID, session.ReasonIdle)
		}
		for time.Now().Before(used.EndsAt) {
			r.mustUse(used.ID)
			r.pass(20 * time.Minute)
		}
		r.pass(flush)
		if n := r.metric("bff_sessions_ended_total", "absolute"); n != 1 {
			t.Errorf("counted %v absolute ends, want 1", n)
		}
		if _, err := r.cache.Get(context.Background(), used.ID); !errors.Is(err, session.ErrEnded) && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("behind the absolute end: %v", err) // the tombstone may be gone, too
		}
		if n := r.metric("bff_sessions_ended_total", "idle"); n != many {
			t.Errorf("counted %v idle ends, want %d", n, many)
		}
		if n := len(r.revoker.seen()); n != many+1 {
			t.Errorf("%d revocations, want %d", n, many+1)
		}
	})
}

// unreadable is a store with one record that cannot be ended, like one sealed
// under a key that is gone.
type unreadable struct {
	*faultstore.Store
	mu sync.Mutex
	id session.ID
}

func (u *unreadable) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	u.mu.Lock()
	bad := id == u.id
	u.mu.Unlock()
	if bad {
		return session.Session{}, session.ErrUnavailable
	}
	return u.Store.End(ctx, id, why, only)
}

// TestReapGoesOnBehindAFailure: one record that cannot be ended is no reason to
// keep the others, and is tried again.
func TestReapGoesOnBehindAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := memstore.New()
		bad := &unreadable{Store: faultstore.New(mem)}
		r := newRigOver(t, mem, bad.Store, bad)
		defer r.close()
		r.run()
		var all []session.Session
		for range 20 {
			all = append(all, r.login())
		}
		stuck := all[7]
		bad.mu.Lock()
		bad.id = stuck.ID
		bad.mu.Unlock()
		r.pass(idle + 2*flush)
		for _, s := range all {
			if s.ID != stuck.ID {
				r.wantEnded(s.ID, session.ReasonIdle)
			}
		}
		if !strings.Contains(r.log.String(), "ended sessions were not reaped") {
			t.Error("nothing was said")
		}
		bad.mu.Lock()
		bad.id = session.ID{}
		bad.mu.Unlock()
		r.pass(flush)
		r.wantEnded(stuck.ID, session.ReasonIdle)
	})
}

// sealedAway is a store whose key for some of its records is gone.
type sealedAway struct {
	*faultstore.Store
	ids map[session.ID]bool
}

func (s *sealedAway) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	if s.ids[id] {
		return session.Session{}, store.ErrUnreadable
	}
	return s.Store.End(ctx, id, why, only)
}

// TestReapGoesOnBehindManyUnreadable: more of them than a page keep no other from its
// end, round after round.
func TestReapGoesOnBehindManyUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := memstore.New()
		away := &sealedAway{Store: faultstore.New(mem), ids: make(map[session.ID]bool)}
		r := newRigOver(t, mem, away.Store, away)
		defer r.close()
		var good []session.Session
		for i := range 2020 {
			if s := r.login(); i%101 == 0 {
				good = append(good, s)
			} else {
				away.ids[s.ID] = true
			}
		}
		r.run()
		r.pass(idle + 2*flush)
		for _, s := range good {
			r.wantEnded(s.ID, session.ReasonIdle)
		}
		for id := range away.ids {
			if _, err := mem.Get(t.Context(), id); err != nil {
				t.Fatalf("one that cannot be read: %v", err)
			}
		}
	})
}

// A night's idle sessions end in one round; the provider is not flooded.
func TestRevocationsAreFewAtATime(t *testing.T) {
	play(t, func(r *rig) {
		r.revoker.hold = time.Second
		var all []session.Session
		for range 40 {
			all = append(all, r.login())
		}
		start := time.Now()
		for _, s := range all {
			if _, err := r.life.End(context.Background(), s.ID, session.ReasonIdle); err != nil {
				t.Fatal(err)
			}
		}
		r.pass(time.Minute)
		at := make(map[time.Duration]int)
		for _, c := range r.revoker.seen() {
			at[c.at.Sub(start)]++
		}
		for _, second := range []time.Duration{0, 1, 2, 3, 4} {
			if n := at[second*time.Second]; n != 8 {
				t.Errorf("%d revocations began after %v, want 8: %v", n, second*time.Second, at)
			}
		}
	})
}
