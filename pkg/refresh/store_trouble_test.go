package refresh_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// TestBeginUnavailable: without a durable intent there is no POST. Whatever
// became of the Begin, the session heals with one POST when the store is back,
// and it was never in doubt.
func TestBeginUnavailable(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*rig){
		"before it takes effect": func(r *rig) { r.store.Set(faultstore.Down, faultstore.Begin) },
		"after it took effect":   func(r *rig) { r.store.Set(faultstore.LoseReply, faultstore.Begin) },
		"after, and Fail is down too": func(r *rig) {
			r.store.Set(faultstore.LoseReply, faultstore.Begin)
			r.store.Set(faultstore.Down, faultstore.Fail)
		},
		"after, and Fail's reply is lost": func(r *rig) {
			r.store.Set(faultstore.LoseReply, faultstore.Begin, faultstore.Fail)
		},
		"hanging before": func(r *rig) { r.store.Set(faultstore.NewGate().Before, faultstore.Begin) },
		"hanging after":  func(r *rig) { r.store.Set(faultstore.NewGate().After, faultstore.Begin) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(10 * time.Minute)
				r.until(r.view(s.ID).Window.DueAt)
				trouble(r)
				if _, err := r.waitAll(s.ID, 20); !errors.Is(err, session.ErrUnavailable) {
					t.Fatalf("waiters got %v, want ErrUnavailable", err)
				}
				for range 5 {
					if _, err := r.wait(s.ID); !errors.Is(err, session.ErrUnavailable) {
						t.Fatalf("a later request got %v, want ErrUnavailable", err)
					}
					r.pass(300 * time.Millisecond)
				}
				r.wantPosts(s.ID, 0)
				r.store.Mend()
				r.pass(time.Second) // the longest time between two tries to tell the store
				if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
					t.Fatalf("the store is back: %v, %v", v, err)
				}
				synctest.Wait()
				r.wantPosts(s.ID, 1)
				r.wantRevision(s.ID, 2)
				if n := r.store.Calls(faultstore.Extend); n != 0 {
					t.Errorf("the refresh was taken for a replay")
				}
			})
		})
	}
}

// TestBeginTakesEffectTooLate: the Begin that was given up lands in the store
// after the Fail that was to undo it. The open attempt is ours and has no
// flight: it was never POSTed, and the next flight says so instead of waiting.
func TestBeginTakesEffectTooLate(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(10 * time.Minute)
		r.until(r.view(s.ID).Window.DueAt)
		var landed sync.WaitGroup
		r.store.Set(faultstore.Times(1, func(ctx context.Context, through func(context.Context) error) error {
			landed.Go(func() {
				time.Sleep(3 * time.Second)
				if err := through(context.WithoutCancel(ctx)); err != nil {
					t.Errorf("late begin: %v", err)
				}
			})
			return session.ErrUnavailable
		}), faultstore.Begin)
		if _, err := r.wait(s.ID); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		landed.Wait()
		if r.record(s.ID).Attempt == nil {
			t.Fatal("no attempt was left open: this test tests nothing")
		}
		start := time.Now()
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
			t.Fatalf("got %v, %v", v, err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v: it waited for itself", took)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 1)
		r.wantRevision(s.ID, 2)
	})
}

// TestBeginBehindTheDeadline: Begin came back, but too late for the POST.
func TestBeginBehindTheDeadline(t *testing.T) {
	play(t, setup{deadline: 2 * time.Second}, func(r *rig) {
		s := r.login(10 * time.Minute)
		r.until(r.view(s.ID).Window.DueAt)
		r.store.Set(faultstore.Times(1, func(ctx context.Context, through func(context.Context) error) error {
			err := through(ctx)
			time.Sleep(2*time.Second + time.Millisecond)
			return err
		}), faultstore.Begin)
		if _, err := r.wait(s.ID); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 0)
		if rec := r.record(s.ID); rec.Attempt != nil || rec.InDoubt {
			t.Errorf("an attempt that was never sent left %+v", rec)
		}
	})
}

// TestCommitUnavailable: the provider has answered, the store does not. Waiters
// and every later request get the new access token at once, nobody POSTs, the
// flight keeps its place, and the store gets it in the end.
func TestCommitUnavailable(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]faultstore.Rule{"before effect": faultstore.Down, "after effect": faultstore.LoseReply} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(10 * time.Minute)
				r.until(r.view(s.ID).Window.DueAt)
				r.store.Set(trouble, faultstore.Commit)
				r.sweep()
				old := r.view(s.ID)
				start := time.Now()
				if v, err := r.waitAll(s.ID, 20); err != nil || v.Session.Revision != 2 {
					t.Fatalf("waiters got %v, %v", v, err)
				}
				for range 30 { // half a minute without the store
					if v, err := r.waitFor(old); err != nil || v.Session.Revision != 2 {
						t.Fatalf("a joiner got %v, %v", v, err)
					}
					if v := r.view(s.ID); v.Session.Revision != 2 {
						t.Fatalf("a reader sees revision %d", v.Session.Revision)
					}
					if n := r.ref.UnderWay(); n != 1 {
						t.Fatalf("%d flights under way: the new refresh token is free to be used", n)
					}
					r.pass(time.Second)
				}
				if n := r.metric("bff_token_refresh_success_total"); n != 0 {
					t.Errorf("counted as durable before it was")
				}
				if tries := r.store.Calls(faultstore.Commit); tries < 30 || tries > 40 {
					t.Errorf("%d tries in %v, want one a second after the first few", tries, time.Since(start))
				}
				if n := r.ref.SlotsTaken(); n != 0 {
					t.Errorf("%d slots are held while the store is down", n)
				}
				r.store.Mend()
				r.pass(1100 * time.Millisecond)
				r.wantPosts(s.ID, 1)
				r.wantRevision(s.ID, 2)
				if n := r.metric("bff_token_refresh_success_total"); n != 1 {
					t.Errorf("%v refreshes counted, want 1", n)
				}
				if n := r.ref.UnderWay(); n != 0 {
					t.Errorf("%d flights are left", n)
				}
			})
		})
	}
}

// TestInFlightGaugeIsTheSlots: what waits for the store holds no slot.
func TestInFlightGaugeIsTheSlots(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		answer := make(chan struct{})
		r.op.does(held(answer, honest))
		r.store.Set(faultstore.Down, faultstore.Commit)
		r.ref.Start(r.view(s.ID))
		synctest.Wait()
		if n := r.metric("bff_token_refresh_in_flight"); n != 1 {
			t.Errorf("gauge says %v while the POST is under way, want 1", n)
		}
		close(answer)
		synctest.Wait()
		if n := r.metric("bff_token_refresh_in_flight"); n != 0 {
			t.Errorf("gauge says %v while no slot is held", n)
		}
	})
}

// TestFailUnavailable: the refusal is told to waiters at once, and the store
// hears of it when it can. Until then the flight keeps its place: no POST.
func TestFailUnavailable(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]faultstore.Rule{"before effect": faultstore.Down, "after effect": faultstore.LoseReply} {
		for _, answer := range []session.Class{session.Transient, session.Unknown} {
			t.Run(answer.String()+", "+name, func(t *testing.T) {
				play(t, setup{}, func(r *rig) {
					s := r.login(10 * time.Minute)
					r.until(r.view(s.ID).Window.DueAt)
					r.op.does(inTurn(refuses(answer), honest))
					r.store.Set(trouble, faultstore.Fail)
					old := r.view(s.ID)
					_, err := r.waitAll(s.ID, 20)
					f := r.failed(err)
					if f.Class != answer {
						t.Fatalf("waiters were told %+v", f)
					}
					r.sweep()
					for range 20 {
						_, err := r.waitFor(old)
						if again := r.failed(err); *again != *f {
							t.Fatalf("a joiner was told %+v, want %+v", again, f)
						}
						r.pass(time.Second)
					}
					r.wantPosts(s.ID, 1)
					r.store.Mend()
					r.pass(1100 * time.Millisecond)
					if answer == session.Unknown && !r.record(s.ID).InDoubt {
						t.Error("the store never heard of the doubt")
					}
					r.until(later(f.RetryAt, time.Now()).Add(3 * time.Second))
					r.wantPosts(s.ID, 2)
					r.wantRevision(s.ID, 2)
				})
			})
		}
	}
}

// TestEndUnavailable: the provider's verdict is told at once and made durable
// when the store is back.
func TestEndUnavailable(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]faultstore.Rule{"before effect": faultstore.Down, "after effect": faultstore.LoseReply} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(10 * time.Minute)
				r.until(r.view(s.ID).Window.DueAt)
				r.op.does(refuses(session.Dead))
				r.store.Set(trouble, faultstore.End)
				old := r.view(s.ID)
				if _, err := r.waitAll(s.ID, 20); !errors.Is(err, session.ErrEnded) {
					t.Fatalf("waiters got %v, want ErrEnded", err)
				}
				r.sweep()
				for range 10 {
					if _, err := r.waitFor(old); !errors.Is(err, session.ErrEnded) {
						t.Fatalf("a joiner got %v, want ErrEnded", err)
					}
					r.pass(time.Second)
				}
				r.store.Mend()
				r.pass(1100 * time.Millisecond)
				r.wantPosts(s.ID, 1)
				r.wantEnded(s.ID, session.ReasonDead)
			})
		})
	}
}

// TestLogoutDuringTheRefresh: the user left while the provider was answering.
// The new tokens are revoked, and nobody gets the session back.
func TestLogoutDuringTheRefresh(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(slow(2*time.Second, honest))
		r.until(r.view(s.ID).Window.DueAt)
		old := r.view(s.ID)
		r.ref.Start(old)
		r.pass(time.Second)
		if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		if _, err := r.waitFor(old); !errors.Is(err, session.ErrEnded) {
			t.Errorf("a waiter got %v, want ErrEnded", err)
		}
		synctest.Wait()
		r.wantEnded(s.ID, session.ReasonLogout)
		r.wantRevoked(s.Token.Refresh.Reveal(), "-refresh-1-2")
	})
}

// TestLogoutWhileTheCommitWaits: the waiters have the new token already, the
// store has not, and the user leaves.
func TestLogoutWhileTheCommitWaits(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.store.Set(faultstore.Down, faultstore.Commit)
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 2 {
			t.Fatalf("got %v, %v", v, err)
		}
		r.pass(5 * time.Second)
		if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		if _, err := r.cache.Get(context.Background(), s.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("after the logout a reader got %v", err)
		}
		r.store.Mend()
		r.pass(1100 * time.Millisecond)
		r.wantEnded(s.ID, session.ReasonLogout)
		r.wantRevoked(s.Token.Refresh.Reveal(), "-refresh-1-2")
		if n := r.ref.UnderWay(); n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

// wantRevoked fails unless exactly the tokens with these ends were revoked.
func (r *rig) wantRevoked(ends ...string) {
	r.t.Helper()
	got := r.rev.revoked()
	if len(got) != len(ends) {
		r.t.Errorf("%d tokens were revoked, want %d", len(got), len(ends))
	}
	for _, end := range ends {
		if !slices.ContainsFunc(got, func(tok string) bool { return strings.HasSuffix(tok, end) }) {
			r.t.Errorf("token …%s was not revoked", end[max(0, len(end)-12):])
		}
	}
}

// TestLateWinner: while the POST was held, somebody else made revision 2. Our
// tokens are dropped and not revoked, which could kill the family; the waiters
// get the winner's.
func TestLateWinner(t *testing.T) {
	play(t, setup{deadline: time.Hour}, func(r *rig) {
		s := r.login(60 * time.Second)
		answer := make(chan struct{})
		r.op.does(held(answer, honest))
		v := r.view(s.ID)
		r.ref.Start(v)
		synctest.Wait()
		winner := r.winner(s)
		close(answer)
		got, err := r.waitFor(v)
		if err != nil || got.Session.Token.Access != winner.Token.Access {
			t.Errorf("the waiter got %v, %v, want the winner's token", got, err)
		}
		synctest.Wait()
		r.wantRevision(s.ID, 2)
		r.wantRevoked()
		if n := r.metric("bff_token_refresh_success_total"); n != 0 {
			t.Errorf("a dropped refresh counted as success")
		}
		if v := r.view(s.ID); v.Session.Token.Access != winner.Token.Access {
			t.Error("a reader does not get the winner's token")
		}
	})
}

// TestLateWinnerAfterTheWaitersWereServed: as above, but Commit was unavailable
// first, so that our token is in use. What is durable wins all the same.
func TestLateWinnerAfterTheWaitersWereServed(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.store.Set(faultstore.Down, faultstore.Commit)
		if _, err := r.wait(s.ID); err != nil {
			t.Fatal(err)
		}
		winner := r.winner(s)
		r.store.Mend()
		r.pass(1100 * time.Millisecond)
		if v := r.view(s.ID); v.Session.Token.Access != winner.Token.Access {
			t.Error("a reader does not get the winner's token")
		}
		r.wantRevoked()
	})
}

// TestAdoptUnavailable: the winner is there but cannot be read.
func TestAdoptUnavailable(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		old := r.view(s.ID)
		if _, err := r.wait(s.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.store.Set(faultstore.Down, faultstore.Get)
		if _, err := r.waitFor(old); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		r.store.Mend()
		if v, err := r.waitFor(old); err != nil || v.Session.Revision != 2 {
			t.Errorf("got %v, %v", v, err)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 1)
	})
}

// TestStoreGoneForAWhile: requests and sweep meet a store that is gone for a
// minute in the middle of the token's life, at random instants of a flight.
func TestStoreGoneForAWhile(t *testing.T) {
	t.Parallel()
	for _, gone := range []time.Duration{28, 33, 38, 41} {
		t.Run((gone * time.Second).String(), func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(60 * time.Second)
				r.op.does(slow(1500*time.Millisecond, honest))
				r.sweep()
				r.until(s.Token.Issued.Add(gone * time.Second))
				all := []faultstore.Op{faultstore.Get, faultstore.Begin, faultstore.Extend, faultstore.Commit, faultstore.Fail, faultstore.End, faultstore.Due, faultstore.Touch}
				r.store.Set(faultstore.Down, all...)
				r.pass(90 * time.Second)
				r.store.Mend()
				r.pass(2 * time.Second)
				if v := r.view(s.ID); v.Window.Freshness(time.Now()) != session.Fresh {
					if _, err := r.wait(s.ID); err != nil {
						t.Fatal(err)
					}
				}
				r.pass(10 * time.Second)
				for i, p := range r.posts(s.ID) {
					if p.gen.n != i+1 {
						t.Errorf("POST %d spent generation %d", i+1, p.gen.n)
					}
				}
				if rec := r.record(s.ID); rec.Session.Revision < 2 || rec.Attempt != nil || rec.InDoubt {
					t.Errorf("not healed: %+v", rec)
				}
			})
		})
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
