package refresh_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// outage lets the provider fail until the breaker is open.
func (r *rig) outage(fail step) {
	r.t.Helper()
	r.op.does(fail)
	for range 10 {
		r.failed(second(r.wait(r.login(time.Minute).ID)))
	}
	if n := r.metric("bff_provider_breaker_open"); n != 1 {
		r.t.Fatalf("after ten failures the breaker gauge is %v", n)
	}
}

func second(_ *session.View, err error) error { return err }

// asks answers with a class and a Retry-After.
func asks(c session.Class, d time.Duration) step {
	return func(context.Context, func() session.Answer) session.Answer {
		return session.Answer{Class: c, Sent: true, RetryAfter: d, Err: errors.New("the provider's words")}
	}
}

// TestBreaker: ten failures in a row, of whatever session, stop everybody but one
// probe every five seconds; the first success ends it.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]step{"not written": unreachable, "503": refuses(session.Transient), "no answer": drops} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{inFlight: 4}, func(r *rig) {
				r.outage(fail)
				var ids []session.ID
				for range 50 {
					ids = append(ids, r.login(time.Hour).ID)
				}
				posts, begins, from := len(r.op.ledger()), r.store.Calls(faultstore.Begin), time.Now()
				for time.Since(from) < time.Minute {
					for _, id := range ids {
						if time.Now().Before(r.view(id).NotBefore) {
							continue // a Check would not ask
						}
						e := r.failed(second(r.wait(id)))
						if e.Class != session.Transient && e.Class != session.Unknown || !e.RetryAt.After(time.Now()) {
							t.Fatalf("while the breaker is open: %v, retry at %v", e, e.RetryAt)
						}
					}
					r.pass(500 * time.Millisecond)
				}
				if n := len(r.op.ledger()) - posts; n < 10 || n > 12 {
					t.Errorf("%d probes in a minute, want one every five seconds", n)
				}
				if n := r.store.Calls(faultstore.Begin) - begins; n > 12 {
					t.Errorf("the store was asked for %d attempts", n)
				}
				r.op.does(nil)
				r.pass(6 * time.Second)
				for range 3 { // the probe, and whoever it made wait
					for _, id := range ids {
						_, _ = r.wait(id)
					}
					r.pass(10 * time.Second)
				}
				for _, id := range ids {
					if rec := r.record(id); rec.Session.Revision < 2 && !rec.InDoubt { // those wait for their replay
						t.Fatalf("a session is not refreshed after the outage: %+v", r.record(id))
					}
				}
				if n := r.metric("bff_provider_breaker_open"); n != 0 {
					t.Errorf("the breaker gauge ends at %v", n)
				}
			})
		})
	}
}

// TestVerdictsDoNotTrip: an answer proves that the provider lives, whatever it says.
func TestVerdictsDoNotTrip(t *testing.T) {
	t.Parallel()
	for _, class := range []session.Class{session.Misconfigured, session.Refused, session.Dead, session.Foreign} {
		t.Run(class.String(), func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				r.op.does(asks(class, time.Minute)) // nor is it a wish of everybody's
				for range 30 {
					_, _ = r.wait(r.login(time.Minute).ID)
				}
				if n := len(r.op.ledger()); n != 30 {
					t.Errorf("%d POSTs for 30 sessions", n)
				}
			})
		})
	}
}

// TestOneFailureInTenDoesNotTrip.
func TestOneFailureInTenDoesNotTrip(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		n := 0
		r.op.does(func(ctx context.Context, take func() session.Answer) session.Answer {
			if n++; n%10 == 0 {
				return unreachable(ctx, take)
			}
			return take()
		})
		for range 500 {
			_, _ = r.wait(r.login(time.Minute).ID)
		}
		if got := len(r.op.ledger()); got != 500 {
			t.Errorf("%d POSTs for 500 sessions", got)
		}
	})
}

// TestProbeThatComesToNothing: a probe that never becomes a request neither
// opens nor wedges the gate.
func TestProbeThatComesToNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*rig){
		"store down":  func(r *rig) { r.store.Set(faultstore.Down, faultstore.Begin, faultstore.Fail) },
		"begin hangs": func(r *rig) { r.store.Set(faultstore.Times(1, faultstore.Down), faultstore.Begin) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{inFlight: 2}, func(r *rig) {
				r.outage(unreachable)
				r.op.does(nil)
				spoil(r)
				r.pass(6 * time.Second)
				if _, err := r.wait(r.login(time.Minute).ID); err == nil {
					t.Error("a refresh without a store")
				}
				r.store.Mend()
				r.pass(6 * time.Second)
				s := r.login(time.Minute)
				if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
					t.Errorf("after the store is back: %v, %v", v, err)
				}
			})
		})
	}
}

// TestRamp: after an outage the provider meets one request at a time, then two,
// four, and so on, every two seconds.
func TestRamp(t *testing.T) {
	play(t, setup{inFlight: 16}, func(r *rig) {
		r.outage(unreachable)
		r.op.does(slow(time.Second, honest))
		r.pass(6 * time.Second)
		const users = 100
		if _, err := r.wait(r.login(time.Hour).ID); err != nil { // the probe
			t.Fatal(err)
		}
		from := time.Now()
		for range users {
			v := r.view(r.login(time.Hour).ID)
			go func() { _, _ = r.waitFor(v) }()
		}
		for i, most := range []int{1, 2, 4, 8, 16} {
			r.until(from.Add(time.Duration(i+1)*2*time.Second - 1))
			if got := r.op.mostAtOnce(); got > most {
				t.Errorf("%d requests at once within %v of the recovery, want at most %d", got, time.Since(from), most)
			}
		}
		r.pass(time.Minute)
		if got := r.op.mostAtOnce(); got != 16 {
			t.Errorf("in the end %d requests at once, want 16", got)
		}
		if n := r.ref.SlotsTaken(); n != 0 {
			t.Errorf("%d slots are taken for ever", n)
		}
	})
}

// TestStopInARamp: the slots that the ramp holds are no reason to wait.
func TestStopInARamp(t *testing.T) {
	play(t, setup{inFlight: 16}, func(r *rig) {
		r.outage(unreachable)
		r.op.does(nil)
		r.pass(6 * time.Second)
		if _, err := r.wait(r.login(time.Hour).ID); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		if err := r.ref.Stop(context.Background()); err != nil || time.Since(from) > 0 {
			t.Errorf("stop took %v: %v", time.Since(from), err)
		}
	})
}

// TestRetryAfter: what one session's answer asks for holds for all, for five
// minutes at most.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, kept time.Duration }{
		{7 * time.Second, 7 * time.Second}, {5 * time.Minute, 5 * time.Minute}, {time.Hour, 5 * time.Minute},
	} {
		t.Run(tt.asked.String(), func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				r.op.does(asks(session.Transient, tt.asked))
				r.failed(second(r.wait(r.login(time.Hour).ID)))
				r.op.does(nil)
				from := time.Now()
				other := r.login(time.Hour)
				e := r.failed(second(r.wait(other.ID)))
				if !e.RetryAt.Equal(from.Add(tt.kept)) {
					t.Errorf("another session may ask in %v, want %v", e.RetryAt.Sub(from), tt.kept)
				}
				if _, err := r.ref.Force(context.Background(), other.ID); !errors.As(err, new(*session.RefreshError)) {
					t.Errorf("an operator passes it: %v", err)
				}
				r.until(from.Add(tt.kept - 1))
				r.failed(second(r.wait(other.ID)))
				r.until(from.Add(tt.kept))
				if v, err := r.wait(other.ID); err != nil || v.Session.Revision != 2 {
					t.Errorf("when it is over: %v, %v", v, err)
				}
			})
		})
	}
}

// TestRetryAfterIsNotShortened: two requests are under way, and the one that is
// answered last asks for less.
func TestRetryAfterIsNotShortened(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		longer, shorter, other := r.login(time.Hour), r.login(time.Hour), r.login(time.Hour)
		r.op.does(inTurn(slow(time.Second, asks(session.Transient, time.Minute)), slow(2*time.Second, asks(session.Transient, time.Second))))
		until := time.Now().Add(61 * time.Second)
		r.ref.Start(r.view(longer.ID))
		r.ref.Start(r.view(shorter.ID))
		r.pass(3 * time.Second)
		r.wantPosts(longer.ID, 1)
		r.wantPosts(shorter.ID, 1)
		if e := r.failed(second(r.wait(other.ID))); !e.RetryAt.Equal(until) {
			t.Errorf("asked again %v before the first one's wish is over", until.Sub(e.RetryAt))
		}
	})
}

// TestNobodyQueuesForNobody: with all slots taken a request that does not wait
// leaves nothing behind, and one that stops waiting takes its flight along.
func TestNobodyQueuesForNobody(t *testing.T) {
	play(t, setup{inFlight: 2}, func(r *rig) {
		open := make(chan struct{})
		r.op.does(held(open, honest))
		for range 2 {
			r.ref.Start(r.view(r.login(time.Minute).ID))
		}
		synctest.Wait()
		r.ref.Start(r.view(r.login(time.Minute).ID))
		synctest.Wait()
		if n := r.ref.UnderWay(); n != 2 {
			t.Errorf("%d flights, want the two with a slot", n)
		}
		left := r.login(time.Minute)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if _, err := r.ref.Wait(ctx, r.view(left.ID)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a waiter without a slot: %v", err)
		}
		synctest.Wait()
		if n := r.ref.UnderWay(); n != 2 {
			t.Errorf("%d flights after the waiter has gone, want 2", n)
		}
		done := make(chan error, 1)
		v := r.view(left.ID)
		go func() { done <- second(r.waitFor(v)) }()
		synctest.Wait()
		close(open)
		if err := <-done; err != nil {
			t.Errorf("who comes back and waits: %v", err)
		}
		r.wantPosts(left.ID, 1)
	})
}

// TestAHangingStoreKeepsNobody: the outcome is known, and told, before the store
// has acknowledged it.
func TestAHangingStoreKeepsNobody(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(time.Minute)
		gate := faultstore.NewGate()
		r.store.Set(gate.Before, faultstore.Commit)
		from := time.Now()
		v, err := r.wait(s.ID)
		if err != nil || v.Session.Revision != 2 {
			t.Fatalf("got %v, %v", v, err)
		}
		if took := time.Since(from); took > time.Second {
			t.Errorf("the new token was known at once and told after %v", took)
		}
		gate.Open()
		r.pass(time.Second)
		r.wantRevision(s.ID, 2)
	})
}

// TestAnExpiredTokenIsNoOutcome: while the store stays down for longer than the
// new token lives, nobody is given that token.
func TestAnExpiredTokenIsNoOutcome(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(time.Minute)
		r.store.Set(faultstore.Down, faultstore.Commit)
		old := r.view(s.ID)
		if v, err := r.waitFor(old); err != nil || v.Session.Revision != 2 {
			t.Fatalf("got %v, %v", v, err)
		}
		r.pass(59 * time.Second)
		if v, err := r.waitFor(old); err != nil || v.Session.Revision != 2 {
			t.Errorf("while it lives: %v, %v", v, err)
		}
		r.pass(2 * time.Second)
		r.failed(second(r.waitFor(old)))
		r.wantPosts(s.ID, 1)
		r.store.Mend()
		r.pass(2 * time.Second)
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 3 {
			t.Errorf("when the store is back: %v, %v", v, err)
		}
	})
}
