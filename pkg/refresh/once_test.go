package refresh_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// TestManyWaitersOnePost: whoever asks and however many, one POST.
func TestManyWaitersOnePost(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(session.Window) time.Time{
		"due":     func(w session.Window) time.Time { return w.DueAt },
		"expired": func(w session.Window) time.Time { return w.Exp.Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{jitter: 30 * time.Millisecond}, func(r *rig) {
				const waiters = 10_000
				s := r.login(60 * time.Second)
				r.op.does(slow(200*time.Millisecond, honest))
				r.until(at(r.view(s.ID).Window))
				v := r.view(s.ID)
				var wg sync.WaitGroup
				for range waiters {
					wg.Go(func() {
						got, err := r.waitFor(v)
						if err != nil || got.Session.Revision != 2 || got.Session.Token.Access == s.Token.Access {
							t.Errorf("waiter got revision %v, %v", got, err)
						}
					})
				}
				wg.Wait()
				synctest.Wait()
				r.wantPosts(s.ID, 1)
				r.wantRevision(s.ID, 2)
				if n := r.metric("bff_token_refresh_coalesced_total"); n != waiters-1 {
					t.Errorf("%v waiters were counted as coalesced, want %d", n, waiters-1)
				}
				if n := r.metric("bff_token_refresh_success_total"); n != 1 {
					t.Errorf("%v refreshes were counted, want 1", n)
				}
			})
		})
	}
}

// TestLeavingWaiterLeavesTheFlight: every waiter hangs up, the refresh arrives.
func TestLeavingWaiterLeavesTheFlight(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(5*time.Second, honest))
		gone := errors.New("the client hung up")
		ctx, leave := context.WithCancelCause(context.Background())
		v := r.view(s.ID)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := r.ref.Wait(ctx, v); !errors.Is(err, gone) {
					t.Errorf("leaving waiter got %v", err)
				}
			})
		}
		r.pass(time.Second)
		leave(gone)
		wg.Wait()
		got, err := r.waitFor(v) // still the same flight
		if err != nil || got.Session.Revision != 2 {
			t.Fatalf("the flight left behind gave %v, %v", got, err)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestRequestJoinsTheSweepsFlight: the sweep was first.
func TestRequestJoinsTheSweepsFlight(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(3*time.Second, honest))
		r.sweep()
		r.until(s.SweepAt.Add(time.Second)) // the sweep's POST is on its way
		r.wantPosts(s.ID, 1)
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
			t.Fatalf("request got %v, %v", v, err)
		}
		r.pass(5 * time.Second)
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestSweepLeavesARequestsFlight: the request was first, and is still on its way
// when the sweep looks.
func TestSweepLeavesARequestsFlight(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(3*time.Second, honest))
		r.until(s.SweepAt)
		r.ref.Start(r.view(s.ID))
		synctest.Wait()
		r.sweep()
		r.pass(5 * time.Second)
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestSweepWithAnOldPage: the sweep read that revision 1 is due, and before it
// comes to that line a request has made revision 2. Revision 2 is fresh: nobody
// asked for its refresh.
func TestSweepWithAnOldPage(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.until(s.SweepAt)
		page := faultstore.NewGate()
		r.store.Set(page.After, faultstore.Due)
		r.sweep()
		synctest.Wait() // the sweep holds a page that names revision 1
		if _, err := r.wait(s.ID); err != nil {
			t.Fatal(err)
		}
		page.Open()
		r.pass(2 * time.Second)
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestRequestBetweenTwoStartsOfTheSweep: the sweep has looked, nobody refreshes
// the session; while it paces itself a request does. A second flight beside that
// one would take the open attempt for a forgotten one of its own, and POST.
func TestRequestBetweenTwoStartsOfTheSweep(t *testing.T) {
	play(t, setup{rate: 1}, func(r *rig) {
		for range 5 {
			r.login(10 * time.Minute)
		}
		r.op.does(slow(4*time.Second, honest))
		r.until(r.start.Add(400 * time.Second))
		r.sweep()
		r.pass(500 * time.Millisecond) // the first has been started, the second waits for its second
		for _, h := range r.handles {
			r.ref.Start(r.view(h.ID()))
		}
		r.pass(30 * time.Second)
		for _, h := range r.handles {
			r.wantPosts(h.ID(), 1)
			r.wantRevision(h.ID(), 2)
		}
	})
}

// TestStaleViewAdoptsTheWinner: a second flight, opened by a request that has
// read revision 1 long ago.
func TestStaleViewAdoptsTheWinner(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		old := r.view(s.ID)
		won, err := r.waitFor(old)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got, err := r.waitFor(old)
		if err != nil || got.Session.Revision != 2 || got.Session.Token.Access != won.Session.Token.Access {
			t.Fatalf("stale request got %v, %v", got, err)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 1)
		if n := r.store.Calls(faultstore.Begin); n != 2 {
			t.Errorf("Begin was called %d times: the stale request opened no flight of its own", n)
		}
	})
}

// TestTwoProcessesOnePost: two Refreshers over one store. The second polls while
// the first has the attempt, and adopts what came of it.
func TestTwoProcessesOnePost(t *testing.T) {
	play(t, setup{owner: "one"}, func(a *rig) {
		b := newRig(t, setup{owner: "two", mem: a.mem, op: a.op})
		defer b.close()
		s := a.login(60 * time.Second)
		a.op.does(slow(2*time.Second, honest))
		a.ref.Start(a.view(s.ID))
		a.pass(100 * time.Millisecond)
		got, err := b.wait(s.ID)
		if err != nil || got.Session.Revision != 2 {
			t.Fatalf("the other process got %v, %v", got, err)
		}
		synctest.Wait()
		a.wantPosts(s.ID, 1)
		a.wantRevision(s.ID, 2)
		// 100 ms, doubling to 500 ms, over two seconds
		if n := b.store.Calls(faultstore.Begin); n < 5 || n > 8 {
			t.Errorf("the other process asked %d times in two seconds", n)
		}
	})
}

// TestTwoProcessesShareAFailure: the one that polled tells its own waiters why,
// and does not try again by itself.
func TestTwoProcessesShareAFailure(t *testing.T) {
	play(t, setup{owner: "one"}, func(a *rig) {
		b := newRig(t, setup{owner: "two", mem: a.mem, op: a.op})
		defer b.close()
		s := a.login(60 * time.Second)
		a.op.does(slow(time.Second, refuses(session.Misconfigured)))
		a.ref.Start(a.view(s.ID))
		a.pass(100 * time.Millisecond)
		_, err := b.wait(s.ID)
		f := b.failed(err)
		if f.Class != session.Misconfigured || !f.RetryAt.Equal(a.record(s.ID).NotBefore) {
			t.Errorf("the other process was told %+v", f)
		}
		a.wantPosts(s.ID, 1)
	})
}

// TestTwoProcessesManyRounds: both sweep and both get requests, for an hour.
func TestTwoProcessesManyRounds(t *testing.T) {
	play(t, setup{owner: "one", activeWithin: 2 * time.Hour}, func(a *rig) {
		b := newRig(t, setup{owner: "two", mem: a.mem, op: a.op, activeWithin: 2 * time.Hour})
		defer b.close()
		s := a.login(60 * time.Second)
		a.op.does(slow(150*time.Millisecond, honest))
		a.sweep()
		b.sweep()
		for range 3600 / 7 {
			a.pass(7 * time.Second)
			for _, r := range []*rig{a, b} {
				if v := r.view(s.ID); v.Window.Freshness(time.Now()) != session.Fresh {
					r.ref.Start(v)
				}
			}
		}
		synctest.Wait()
		for a.ref.UnderWay()+b.ref.UnderWay() > 0 { // what is asked for is stored, at one instant
			a.pass(10 * time.Millisecond)
		}
		rounds := len(a.posts(s.ID))
		for i, p := range a.posts(s.ID) {
			if p.rev != session.Revision(i+1) {
				t.Fatalf("POST %d was for revision %d", i+1, p.rev)
			}
		}
		if rounds < 60 || rounds > 130 {
			t.Errorf("%d refreshes of a 60 s token in an hour", rounds)
		}
		a.wantRevision(s.ID, session.Revision(rounds+1))
	})
}

// TestEndedElsewhere: another process has ended the session; the view cached
// here does not know. Begin tells, and no reader here is served any more.
func TestEndedElsewhere(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		v := r.view(s.ID)
		synctest.Wait()
		if _, err := r.mem.End(context.Background(), s.ID, session.ReasonLogout, store.Cond{}); err != nil {
			t.Fatal(err)
		}
		r.view(s.ID) // still cached
		if _, err := r.waitFor(v); !errors.Is(err, session.ErrEnded) {
			t.Errorf("got %v, want ErrEnded", err)
		}
		r.wantEnded(s.ID, session.ReasonLogout)
		r.wantPosts(s.ID, 0)
	})
}
