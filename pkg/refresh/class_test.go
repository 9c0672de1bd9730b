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

// waitAll lets n requests wait on what they see now, and returns the outcome
// they all must share.
func (r *rig) waitAll(id session.ID, n int) (*session.View, error) {
	r.t.Helper()
	v := r.view(id)
	views, errs := make([]*session.View, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { views[i], errs[i] = r.waitFor(v) })
	}
	wg.Wait()
	for i := range n {
		if views[i] != views[0] || !sameOutcome(errs[i], errs[0]) {
			r.t.Errorf("waiter %d got %v, %v; waiter 0 got %v, %v", i, views[i], errs[i], views[0], errs[0])
		}
	}
	synctest.Wait()
	return views[0], errs[0]
}

func sameOutcome(a, b error) bool {
	fa, ok := errors.AsType[*session.RefreshError](a)
	fb, also := errors.AsType[*session.RefreshError](b)
	if ok && also {
		return *fa == *fb
	}
	return ok == also && errors.Is(a, b)
}

// TestRefusalIsSharedAndRemembered plays every class after which the session
// lives on: one POST for all waiters, the refusal published and kept, no POST
// before NotBefore by anybody, and health after it.
func TestRefusalIsSharedAndRemembered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer step
		class  session.Class
	}{
		"unreachable":       {unreachable, session.Transient},
		"come back later":   {refuses(session.Transient), session.Transient},
		"our client":        {refuses(session.Misconfigured), session.Misconfigured},
		"another reason":    {refuses(session.Refused), session.Refused},
		"cut before effect": {drops, session.Unknown},
	} {
		for when, elapsed := range map[string]time.Duration{"due": 42 * time.Second, "expired": 61 * time.Second} {
			t.Run(name+", "+when, func(t *testing.T) {
				play(t, setup{}, func(r *rig) {
					s := r.login(60 * time.Second)
					r.op.does(slow(100*time.Millisecond, tt.answer))
					r.pass(elapsed)
					_, err := r.waitAll(s.ID, 50)
					f := r.failed(err)
					if f.Class != tt.class || !f.RetryAt.After(time.Now()) {
						t.Fatalf("waiters were told %+v at %v", f, time.Now())
					}
					r.wantPosts(s.ID, 1)
					r.wantRemembered(s.ID, f)
					r.wantQuietUntil(s.ID, f)
					r.wantHealed(s.ID)
				})
			})
		}
	}
}

// wantRemembered fails unless store and cache know the refusal that f tells of,
// and the session is otherwise what it was.
func (r *rig) wantRemembered(id session.ID, f *session.RefreshError) {
	r.t.Helper()
	rec, v := r.record(id), r.view(id)
	if rec.Session.Revision != 1 || rec.Attempt != nil || rec.Failures != 1 || rec.LastClass != f.Class {
		r.t.Errorf("stored: %+v", rec)
	}
	doubt := f.Class == session.Unknown
	if rec.InDoubt != doubt || v.InDoubt != doubt {
		r.t.Errorf("in doubt: stored %v, published %v, want %v", rec.InDoubt, v.InDoubt, doubt)
	}
	if doubt && !rec.ReplayAt.Equal(f.RetryAt) || !doubt && !rec.NotBefore.Equal(f.RetryAt) {
		r.t.Errorf("stored not before %v, replay at %v; waiters were told %v", rec.NotBefore, rec.ReplayAt, f.RetryAt)
	}
	if !v.NotBefore.Equal(f.RetryAt) || v.LastClass != f.Class {
		r.t.Errorf("published not before %v, %v; waiters were told %+v", v.NotBefore, v.LastClass, f)
	}
	if n := r.metric("bff_token_refresh_failed_total", f.Class.String()); n != 1 {
		r.t.Errorf("%v failures counted as %v, want 1", n, f.Class)
	}
}

// wantQuietUntil lets requests come and the sweep run up to the instant f names:
// no POST, and all are told the same.
func (r *rig) wantQuietUntil(id session.ID, f *session.RefreshError) {
	r.t.Helper()
	before := len(r.op.ledger())
	r.op.does(honest)
	r.sweep()
	defer r.stopSweep()
	for time.Now().Before(f.RetryAt) {
		_, err := r.wait(id)
		if again := r.failed(err); *again != *f {
			r.t.Fatalf("a later request was told %+v, want %+v", again, f)
		}
		r.pass(min(50*time.Millisecond, max(1, time.Until(f.RetryAt)-1)))
		if n := len(r.op.ledger()); time.Now().Before(f.RetryAt) && n != before {
			r.t.Fatalf("%d POSTs at %v, before %v", n-before, time.Now(), f.RetryAt)
		}
	}
}

// wantHealed fails unless the next request gets revision 2 and nothing of the
// failures is left.
func (r *rig) wantHealed(id session.ID) {
	r.t.Helper()
	v := r.view(id)
	if v.Session.Revision != 2 { // the sweep may have been faster
		got, err := r.waitFor(v)
		if err != nil || got.Session.Revision != 2 {
			r.t.Fatalf("after the back-off: %v, %v", got, err)
		}
	}
	synctest.Wait()
	r.wantRevision(id, 2)
	r.wantPosts(id, 2)
	if v := r.view(id); v.Session.Revision != 2 || v.InDoubt || v.LastClass != 0 || !v.NotBefore.IsZero() {
		r.t.Errorf("published after healing: %+v", v)
	}
}

// TestSweepComesBackAfterARefusal: nobody asks; the sweep tries again by itself
// and not before it may, with growing waits.
func TestSweepComesBackAfterARefusal(t *testing.T) {
	for _, c := range []session.Class{session.Transient, session.Misconfigured, session.Refused} {
		t.Run(c.String(), func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(10 * time.Minute) // due 400 s, exp 600 s
				r.op.does(inTurn(refuses(c), refuses(c), refuses(c), refuses(c), honest))
				r.sweep()
				r.until(s.Token.Exp())
				r.wantRevision(s.ID, 2)
				posts := r.posts(s.ID)
				if len(posts) != 5 {
					t.Fatalf("%d POSTs, want 5", len(posts))
				}
				for k := 1; k < 5; k++ {
					bound := time.Second << (k - 1)
					gap := posts[k].at.Sub(posts[k-1].at)
					if gap < bound/2 || gap > bound+200*time.Millisecond {
						t.Errorf("after failure %d the sweep waited %v, want %v to %v", k, gap, bound/2, bound)
					}
				}
			})
		})
	}
}

// TestVerdictEnds: dead and foreign end the session at once, though the access
// token still lives, for every waiter and every later request.
func TestVerdictEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		class   session.Class
		why     session.Reason
		revoked int
	}{
		"dead":    {session.Dead, session.ReasonDead, 0},
		"foreign": {session.Foreign, session.ReasonForeign, 1},
	} {
		for when, elapsed := range map[string]time.Duration{"due": 42 * time.Second, "expired": 61 * time.Second} {
			t.Run(name+", "+when, func(t *testing.T) {
				play(t, setup{}, func(r *rig) {
					s := r.login(60 * time.Second)
					r.op.does(slow(100*time.Millisecond, refuses(tt.class)))
					r.pass(elapsed)
					old := r.view(s.ID)
					if _, err := r.waitAll(s.ID, 50); !errors.Is(err, session.ErrEnded) {
						t.Fatalf("waiters got %v, want ErrEnded", err)
					}
					r.wantEnded(s.ID, tt.why)
					if _, err := r.waitFor(old); !errors.Is(err, session.ErrEnded) {
						t.Errorf("a late request got %v, want ErrEnded", err)
					}
					r.wantPosts(s.ID, 1)
					if got := r.rev.revoked(); len(got) != tt.revoked {
						t.Errorf("revoked %d tokens, want %d", len(got), tt.revoked)
					}
					if n := r.metric("bff_sessions_ended_total", string(tt.why)); n != 1 {
						t.Errorf("counted %v ends as %s, want 1", n, tt.why)
					}
				})
			})
		}
	}
}

// TestVerdictBySweep: the sweep meets the verdict, nobody waits.
func TestVerdictBySweep(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(refuses(session.Dead))
		r.sweep()
		r.until(s.Token.Exp())
		r.wantPosts(s.ID, 1)
		r.wantEnded(s.ID, session.ReasonDead)
	})
}

// TestStrictProviderAcceptsAThousandRounds: each generation once, no reuse, no
// gap, over many rounds of requests and sweep mixed.
func TestStrictProviderAcceptsAThousandRounds(t *testing.T) {
	play(t, setup{activeWithin: 24 * time.Hour}, func(r *rig) {
		const rounds = 1000
		s := r.login(10 * time.Second)
		r.op.does(slow(20*time.Millisecond, honest))
		r.sweep()
		for r.record(s.ID).Session.Revision < rounds {
			if _, err := r.wait(s.ID); err != nil {
				t.Fatal(err)
			}
			r.pass(1700 * time.Millisecond)
		}
		for i, p := range r.posts(s.ID) {
			if p.gen.n != i+1 {
				t.Fatalf("POST %d spent generation %d", i+1, p.gen.n)
			}
		}
	})
}

// TestReplayAsksTheStoreBeforeThePost: a replay asks the store before it
// POSTs, and what the store says counts.
func TestReplayAsksTheStoreBeforeThePost(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.pass(42 * time.Second)
		r.op.does(drops)
		_, err := r.wait(s.ID)
		r.until(r.failed(err).RetryAt)
		r.store.Set(faultstore.Answer(session.ErrMoved), faultstore.Extend)
		got, err := r.wait(s.ID)
		if err == nil && got.Session.Revision < 2 {
			t.Errorf("a waiter got revision %d for a new token", got.Session.Revision)
		}
		synctest.Wait()
		r.wantPosts(s.ID, 1)
		if n := r.store.Calls(faultstore.Extend); n != 1 {
			t.Errorf("the store was asked %d times", n)
		}
	})
}

// TestVerdictOnALostRace: the provider refuses our token because somebody else
// has spent it, and has made revision 2 of it. The verdict is on our attempt
// alone: the session lives, and the waiters get the winner's token.
func TestVerdictOnALostRace(t *testing.T) {
	t.Parallel()
	for _, c := range []session.Class{session.Dead, session.Foreign} {
		t.Run(c.String(), func(t *testing.T) {
			play(t, setup{deadline: time.Hour}, func(r *rig) {
				s := r.login(60 * time.Second)
				answer := make(chan struct{})
				r.op.does(held(answer, refuses(c)))
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
			})
		})
	}
}

// winner makes revision 2 behind the refresher's back.
func (r *rig) winner(s session.Session) session.Session {
	r.t.Helper()
	next := s.Renew(session.Grant{
		Access: session.AccessToken{Secret: session.NewSecret(canary + "-winner")}, Issued: time.Now(), Lifetime: time.Minute,
	}, r.policy)
	if err := r.mem.Commit(context.Background(), store.Attempt{SessionID: s.ID, Revision: 1, ID: store.AttemptID{9}}, next); err != nil {
		r.t.Fatal(err)
	}
	return next
}
