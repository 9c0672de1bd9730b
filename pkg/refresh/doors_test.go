package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// doors are who may ask for a refresh of a session seen as v.
var doors = map[string]func(*rig, *session.View) (*session.View, error){
	"request": func(r *rig, v *session.View) (*session.View, error) { return r.waitFor(v) },
	"operator": func(r *rig, v *session.View) (*session.View, error) {
		return r.ref.Force(context.Background(), v.Session.ID)
	},
	"sweep": func(r *rig, v *session.View) (*session.View, error) {
		r.ref.Kick()
		return r.waitFor(v)
	},
}

// TestEveryDoorOnOneRevision holds the first comer at each of its steps while
// the others come, in every order: one POST, and all get its token.
func TestEveryDoorOnOneRevision(t *testing.T) {
	t.Parallel()
	orders := [][]string{
		{"request", "sweep", "operator"}, {"request", "operator", "sweep"}, {"sweep", "request", "operator"},
		{"sweep", "operator", "request"}, {"operator", "request", "sweep"}, {"operator", "sweep", "request"},
	}
	type hold func(*rig) (open func())
	at := func(op faultstore.Op, after bool) hold {
		return func(r *rig) func() {
			g := faultstore.NewGate()
			rule := g.Before
			if after {
				rule = g.After
			}
			r.store.Set(faultstore.Times(1, rule), op)
			return g.Open
		}
	}
	holds := map[string]hold{
		"before Begin": at(faultstore.Begin, false), "after Begin": at(faultstore.Begin, true),
		"before Commit": at(faultstore.Commit, false), "after Commit": at(faultstore.Commit, true),
		"in the POST": func(r *rig) func() {
			open := make(chan struct{})
			r.op.does(held(open, honest))
			return func() { close(open) }
		},
	}
	for _, order := range orders {
		for where, hold := range holds {
			t.Run(fmt.Sprint(order, " ", where), func(t *testing.T) {
				play(t, setup{}, func(r *rig) {
					s := r.login(time.Minute)
					r.until(s.SweepAt.Add(-time.Millisecond))
					open := hold(r)
					r.sweep()
					r.pass(2 * time.Millisecond) // due for the sweep too
					v := r.view(s.ID)
					var all sync.WaitGroup
					for _, who := range order {
						all.Go(func() {
							if got, err := doors[who](r, v); err != nil || got.Session.Revision != 2 {
								t.Errorf("%s: got %v, %v", who, got, err)
							}
						})
						synctest.Wait()
					}
					open()
					all.Wait()
					r.stopSweep()
					r.wantPosts(s.ID, 1)
					r.wantRevision(s.ID, 2)
				})
			})
		}
	}
}

// TestTenThousandAtEveryDoor.
func TestTenThousandAtEveryDoor(t *testing.T) {
	play(t, setup{jitter: 30 * time.Millisecond}, func(r *rig) {
		s := r.login(time.Minute)
		r.until(s.SweepAt)
		r.op.does(slow(time.Second, honest))
		v := r.view(s.ID)
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					r.ref.Start(v)
				case 1:
					_, err = r.waitFor(v)
				case 2:
					_, err = r.ref.Force(context.Background(), s.ID)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		r.wantPosts(s.ID, 1)
	})
}

// TestForce: what an operator passes, and what not.
func TestForce(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(10 * time.Minute)
		force := func() (*session.View, error) { return r.ref.Force(context.Background(), s.ID) }
		if v, err := force(); err != nil || v.Session.Revision != 1 {
			t.Errorf("of a token that is just new: %v, %v", v, err)
		}
		r.pass(10*time.Second - 1)
		if v, err := force(); err != nil || v.Session.Revision != 1 {
			t.Errorf("of a token just under ten seconds old: %v, %v", v, err)
		}
		r.wantPosts(s.ID, 0)
		r.pass(1)
		if v, err := force(); err != nil || v.Session.Revision != 2 {
			t.Errorf("of a token ten seconds old: %v, %v", v, err)
		}
		r.pass(time.Minute)
		r.op.does(refuses(session.Misconfigured))
		for range 5 { // the back-off grows to a minute
			_ = r.failed(second(force()))
		}
		if rec := r.record(s.ID); rec.Failures != 5 || !rec.NotBefore.After(time.Now()) {
			t.Errorf("five refusals: %+v", rec)
		}
		r.op.does(nil)
		r.failed(second(r.wait(s.ID))) // a request keeps to the back-off
		if v, err := force(); err != nil || v.Session.Revision != 3 {
			t.Errorf("under a back-off: %v, %v", v, err)
		}
		r.pass(time.Minute)
		r.op.does(inTurn(drops, honest))
		if e := r.failed(second(force())); e.Class != session.Unknown {
			t.Errorf("a lost answer: %v", e)
		}
		posts := len(r.posts(s.ID))
		r.pass(time.Minute)
		if e := r.failed(second(force())); e.Class != session.Unknown || len(r.posts(s.ID)) != posts {
			t.Errorf("in doubt: %v, and %d POSTs more", e, len(r.posts(s.ID))-posts)
		}
		if _, err := r.ref.Force(context.Background(), session.ID{1}); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a session that never was: %v", err)
		}
		bare := r.op.issue(time.Minute)
		bare.Refresh = session.RefreshToken{}
		r.pass(20 * time.Second)
		if e := r.failed(second(r.ref.Force(context.Background(), r.loginWith(bare).ID))); e.Class != session.Refused {
			t.Errorf("without a refresh token: %v", e)
		}
	})
}

// TestPastTheAbsoluteEnd: what the reaper has not found yet is refreshed by nobody.
func TestPastTheAbsoluteEnd(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(24 * time.Hour)
		r.until(s.EndsAt)
		if _, err := r.ref.Force(context.Background(), s.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("got %v, want ErrEnded", err)
		}
		r.wantPosts(s.ID, 0)
	})
}

// profiled is a profile of the test's own.
func profiled(p session.Profile) setup { return setup{custom: &p} }

// TestReplayNever: in doubt, the session lives as long as its access token, and
// its refresh token is not used again.
func TestReplayNever(t *testing.T) {
	t.Parallel()
	never := profiled(session.Profile{Replay: session.ReplayNever})
	t.Run("a lost answer", func(t *testing.T) {
		play(t, never, func(r *rig) {
			s := r.login(time.Minute)
			r.op.does(loses)
			if e := r.failed(second(r.wait(s.ID))); e.Class != session.Unknown || !e.RetryAt.Equal(s.Token.Exp()) {
				t.Errorf("got %v, retry at %v", e, e.RetryAt)
			}
			r.op.does(nil)
			r.sweep()
			r.until(s.Token.Exp().Add(-1))
			r.failed(second(r.wait(s.ID)))
			r.until(s.Token.Exp())
			if _, err := r.wait(s.ID); !errors.Is(err, session.ErrEnded) {
				t.Errorf("at expiry: %v, want ErrEnded", err)
			}
			r.wantEnded(s.ID, session.ReasonInDoubt)
			r.wantPosts(s.ID, 1)
		})
	})
	t.Run("past expiry, at once", func(t *testing.T) {
		play(t, never, func(r *rig) {
			s := r.login(time.Minute)
			r.until(s.Token.Exp())
			r.op.does(drops)
			if _, err := r.wait(s.ID); !errors.Is(err, session.ErrEnded) {
				t.Errorf("got %v, want ErrEnded", err)
			}
			r.wantEnded(s.ID, session.ReasonInDoubt)
		})
	})
	t.Run("a crash, and a late winner", func(t *testing.T) {
		play(t, never, func(r *rig) {
			s := r.login(time.Minute)
			dead, a, err := r.mem.Begin(context.Background(), s.ID, 1, store.Intent{AttemptID: store.AttemptID{1}, Owner: "dead", ReplayAt: s.Token.Exp()})
			if err != nil {
				t.Fatal(err)
			}
			again := newRig(t, setup{custom: never.custom, mem: r.mem.Restarted(), op: r.op, owner: "two"})
			defer again.close()
			again.until(s.Token.Exp())
			done := make(chan error, 1)
			go func() { done <- second(again.wait(s.ID)) }()
			again.pass(500 * time.Millisecond) // it waits for a winner that is cut off
			ans := r.op.Refresh(context.Background(), dead.Session)
			if err := again.mem.Commit(context.Background(), a, dead.Session.Renew(ans.Grant, again.policy)); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("the winner came back in time: %v", err)
			}
			again.wantRevision(s.ID, 2)
		})
	})
}

// TestReplayNow: a lost answer is asked for again within two seconds.
func TestReplayNow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		p     session.Profile
		again bool // a second unknown is replayed before expiry too
	}{
		"short grace":         {session.Profile{Replay: session.ReplayNow, Grace: 30 * time.Second}, false},
		"nothing is spent":    {session.Profile{Replay: session.ReplayNow, Grace: session.Forever}, true},
		"access token is old": {session.Profile{Replay: session.ReplayNow, EndsAccess: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, profiled(tt.p), func(r *rig) {
				s := r.login(time.Hour)
				r.op.does(inTurn(drops, drops, honest))
				r.failed(second(r.wait(s.ID)))
				r.pass(2 * time.Second)
				r.failed(second(r.wait(s.ID)))
				r.wantPosts(s.ID, 2)
				r.pass(time.Minute)
				v, err := r.wait(s.ID)
				if got := err == nil && v.Session.Revision == 2; got != tt.again {
					t.Errorf("a third time before expiry: %v, %v", v, err)
				}
				r.until(s.Token.Exp().Add(time.Minute))
				if _, err := r.wait(s.ID); err != nil {
					t.Errorf("past expiry: %v", err)
				}
			})
		})
	}
}

// TestReadersWaitWhereARefreshEndsTheToken: from before the POST until its outcome.
func TestReadersWaitWhereARefreshEndsTheToken(t *testing.T) {
	t.Parallel()
	for name, does := range map[string]step{"renewed": honest, "no answer": drops, "not written": unreachable, "refused": refuses(session.Refused)} {
		t.Run(name, func(t *testing.T) {
			play(t, profiled(session.Profile{Replay: session.ReplayNow, EndsAccess: true}), func(r *rig) {
				s := r.login(time.Hour)
				r.pass(time.Millisecond) // the cache has taken the login in
				open := make(chan struct{})
				r.op.does(held(open, does))
				r.ref.Start(r.view(s.ID))
				r.pass(time.Millisecond)
				if !r.view(s.ID).Renewing {
					t.Error("a reader is not told to wait")
				}
				close(open)
				synctest.Wait()
				if r.view(s.ID).Renewing {
					t.Error("a reader is told to wait for nothing")
				}
			})
		})
	}
}

// TestGenericReadersDoNotWait: elsewhere the old token is served meanwhile.
func TestGenericReadersDoNotWait(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(time.Hour)
		open := make(chan struct{})
		r.op.does(held(open, honest))
		r.ref.Start(r.view(s.ID))
		synctest.Wait()
		if r.view(s.ID).Renewing {
			t.Error("a reader is told to wait")
		}
		close(open)
	})
}
