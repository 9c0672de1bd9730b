package refresh_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// TestStopWaitsForFlights: what is under way arrives, and is durable, before
// Stop returns; what is new is refused.
func TestStopWaitsForFlights(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s, other := r.login(60*time.Second), r.login(60*time.Second)
		r.op.does(slow(3*time.Second, honest))
		v, start := r.view(s.ID), time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := r.waitFor(v); err != nil || got.Session.Revision != 2 {
				t.Errorf("the waiter got %v, %v", got, err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			r.pass(time.Second)
			if _, err := r.wait(other.ID); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("a new flight while stopping: %v, want ErrUnavailable", err)
			}
			if got, err := r.waitFor(v); err != nil || got.Session.Revision != 2 {
				t.Errorf("a joiner while stopping got %v, %v", got, err)
			}
		})
		if err := r.ref.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("stop took %v", took)
		}
		r.wantRevision(s.ID, 2)
		wg.Wait()
		if _, err := r.wait(other.ID); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("a new flight after Stop: %v, want ErrUnavailable", err)
		}
		r.ref.Start(r.view(other.ID))
		r.wantPosts(other.ID, 0)
		if err := r.ref.Stop(context.Background()); err != nil { // a second time
			t.Error(err)
		}
	})
}

// TestStopAbortsTheQueue: flights that wait for a slot or sit out their jitter
// have done nothing yet, and nothing is what they do.
func TestStopAbortsTheQueue(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]setup{
		"for a slot": {inFlight: 1},
		"jitter":     {inFlight: 1, jitter: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, set, func(r *rig) {
				first, queued := r.login(60*time.Second), r.login(60*time.Second)
				r.op.does(slow(3*time.Second, honest))
				r.ref.Start(r.view(first.ID))
				synctest.Wait()
				v, start := r.view(queued.ID), time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := r.waitFor(v); !errors.Is(err, session.ErrUnavailable) {
						t.Errorf("the queued waiter got %v, want ErrUnavailable", err)
					}
					if took := time.Since(start); took != 0 {
						t.Errorf("it was told after %v", took)
					}
				})
				synctest.Wait()
				if err := r.ref.Stop(context.Background()); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				r.wantPosts(queued.ID, 0)
				if n := r.store.Calls(faultstore.Begin); n > 1 {
					t.Errorf("Begin was called %d times", n)
				}
			})
		})
	}
}

// TestStopGivesUpWaiting: Stop's own patience ends, the flight does not.
func TestStopGivesUpWaiting(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(5*time.Second, honest))
		r.ref.Start(r.view(s.ID))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.ref.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		r.pass(5 * time.Second)
		r.wantRevision(s.ID, 2)
	})
}

// TestStopWithTheStoreDown: renewed tokens that no store takes are tried once
// more, counted as lost and said. The waiters get the access token all the same:
// it is good, and nobody else will tell them.
func TestStopWithTheStoreDown(t *testing.T) {
	t.Parallel()
	for name, stopAt := range map[string]time.Duration{
		"before the answer":       time.Second,
		"while the Commit waits":  2500 * time.Millisecond,
		"at the answer's instant": 2 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(60 * time.Second)
				r.op.does(slow(2*time.Second, honest))
				r.store.Set(faultstore.Down, faultstore.Commit)
				v := r.view(s.ID)
				var wg sync.WaitGroup
				wg.Go(func() {
					if got, err := r.waitFor(v); err != nil || got.Session.Revision != 2 {
						t.Errorf("the waiter got %v, %v", got, err)
					}
				})
				time.Sleep(stopAt)
				before, start := r.store.Calls(faultstore.Commit), time.Now()
				if err := r.ref.Stop(context.Background()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("stop took %v", took)
				}
				if n := r.store.Calls(faultstore.Commit) - before; n < 1 || n > 2 {
					t.Errorf("%d tries after Stop, want one more", n)
				}
				wg.Wait()
				if n := strings.Count(r.log.String(), "renewed tokens were not stored before the stop"); n != 1 {
					t.Errorf("said %d times, want once", n)
				}
				if rec := r.record(s.ID); rec.Session.Revision != 1 || rec.Attempt == nil {
					t.Errorf("the next process must find the open attempt, finds %+v", rec)
				}
			})
		})
	}
}

// TestStopWhileARefusalWaits: as above for a Fail that no store takes.
func TestStopWhileARefusalWaits(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(2*time.Second, refuses(session.Transient)))
		r.store.Set(faultstore.Down, faultstore.Fail)
		v := r.view(s.ID)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.waitFor(v)
			if f := r.failed(err); f.Class != session.Transient {
				t.Errorf("the waiter was told %+v", f)
			}
		})
		r.pass(time.Second)
		if err := r.ref.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	})
}

// TestPanicIsADoubt: a token endpoint that panics may have sent the request. The
// process lives, waiters are told, the slot is free, and the session is in doubt
// like after any lost answer, not lost.
func TestPanicIsADoubt(t *testing.T) {
	t.Parallel()
	for name, spent := range map[string]bool{"before the provider's work": false, "behind it": true} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{inFlight: 1}, func(r *rig) {
				if spent {
					r.reuses = 1
				}
				s, other := r.login(60*time.Second), r.login(60*time.Second)
				r.pass(42 * time.Second)
				r.op.does(inTurn(func(_ context.Context, take func() session.Answer) session.Answer {
					if spent {
						take()
					}
					panic("boom " + canary[:3])
				}, honest))
				_, err := r.waitAll(s.ID, 10)
				if f := r.failed(err); f.Class != session.Unknown || !f.RetryAt.Equal(s.Token.Issued.Add(50*time.Second)) {
					t.Errorf("waiters were told %+v", f)
				}
				if rec := r.record(s.ID); !rec.InDoubt || rec.Attempt != nil || rec.Session.Revision != 1 {
					t.Errorf("stored: %+v", rec)
				}
				if v, err := r.wait(other.ID); err != nil || v.Session.Revision != 2 { // the only slot
					t.Errorf("another session got %v, %v", v, err)
				}
				if n := r.metric("bff_token_refresh_failed_total", "unknown"); n != 1 {
					t.Errorf("counted %v times", n)
				}
				if !strings.Contains(r.log.String(), "token refresh panicked") {
					t.Error("nothing was said")
				}
				r.sweep()
				r.until(s.Token.Exp().Add(-time.Second))
				r.wantPosts(s.ID, 2)
				if want := map[bool]session.Revision{false: 2, true: 1}[spent]; r.record(s.ID).Session.Revision != want {
					t.Errorf("after the replay: %+v", r.record(s.ID))
				}
			})
		})
	}
}

// TestPanicWhilePublishing: what is injected to prepare headers panics behind a
// durable Commit. The process lives, the waiter gets what is durable, and the
// renewed session is not taken for a doubtful one.
func TestPanicWhilePublishing(t *testing.T) {
	left := 1 // the one flight of this test reads and writes it
	play(t, setup{encode: func(s session.Session) (any, int64) {
		if s.Revision == 2 && left > 0 {
			left--
			panic("cannot encode")
		}
		return nil, 0
	}}, func(r *rig) {
		s := r.login(60 * time.Second)
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
			t.Errorf("got %v, %v", v, err)
		}
		synctest.Wait()
		r.wantRevision(s.ID, 2)
		r.wantPosts(s.ID, 1)
		if left != 0 {
			t.Error("nothing panicked")
		}
	})
}

// TestPanicFreesTheSlot: while the store is told of it, too.
func TestPanicFreesTheSlot(t *testing.T) {
	play(t, setup{inFlight: 1}, func(r *rig) {
		s, other := r.login(60*time.Second), r.login(60*time.Second)
		r.op.does(inTurn(func(context.Context, func() session.Answer) session.Answer { panic("boom") }, honest))
		r.store.Set(faultstore.Down, faultstore.Fail)
		r.ref.Start(r.view(s.ID))
		r.pass(5 * time.Second)
		if v, err := r.wait(other.ID); err != nil || v.Session.Revision != 2 {
			t.Errorf("another session got %v, %v", v, err)
		}
	})
}

// A panic before the POST spends nothing: the waiters are told, and the next
// attempt is made as if nothing had been.
func TestPanicBeforeThePost(t *testing.T) {
	t.Parallel()
	for _, op := range []faultstore.Op{faultstore.Begin, faultstore.Get} {
		t.Run(string(op), func(t *testing.T) {
			play(t, setup{inFlight: 1}, func(r *rig) {
				s := r.login(60 * time.Second)
				r.pass(42 * time.Second)
				v := r.view(s.ID)
				r.store.Set(faultstore.Times(1, func(ctx context.Context, through func(context.Context) error) error {
					_ = through(ctx)
					panic("boom")
				}), op)
				if op == faultstore.Get { // the sweep's flights read the record first
					r.sweep()
					r.pass(time.Second)
				} else if _, err := r.waitFor(v); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("the waiter got %v, want ErrUnavailable", err)
				}
				synctest.Wait() // until then its flight may be joined
				if got, err := r.waitFor(v); err != nil || got.Session.Revision != 2 {
					t.Errorf("the next one got %v, %v", got, err)
				}
				r.wantPosts(s.ID, 1)
				if !strings.Contains(r.log.String(), "panicked before its request") {
					t.Error("nothing was said")
				}
			})
		})
	}
}
