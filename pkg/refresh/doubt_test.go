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

// All sessions here have a token of one minute: A = 20 s, due at 40 s, swept
// from 30 s on, replayed at exp − A/2 = 50 s, over at 60 s. A replay waits one
// commit-retry period, a second, before it POSTs.

const confirmed = time.Second

func near(got, want time.Time) bool {
	d := got.Sub(want)
	return d >= 0 && d <= 200*time.Millisecond
}

// TestLostAnswerIsReplayedOnce: the request never reached the provider's work.
// The sweep replays once, at exp − A/2, and all is well again.
func TestLostAnswerIsReplayedOnce(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(inTurn(drops, honest))
		r.sweep()
		r.until(s.Token.Issued.Add(49 * time.Second))
		r.wantPosts(s.ID, 1)
		if rec := r.record(s.ID); !rec.InDoubt || !rec.ReplayAt.Equal(s.Token.Issued.Add(50*time.Second)) {
			t.Fatalf("after the lost answer: %+v", rec)
		}
		r.until(s.Token.Exp())
		posts := r.posts(s.ID)
		if len(posts) != 2 || !near(posts[1].at, s.Token.Issued.Add(50*time.Second+confirmed)) {
			t.Fatalf("ledger: %+v, want a replay at 51 s", posts)
		}
		r.wantRevision(s.ID, 2)
	})
}

// TestLostAnswerLateReplayKeepsItsBackoff: when half-way is over already, the
// replay waits for the back-off alone.
func TestLostAnswerLateReplayKeepsItsBackoff(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(inTurn(drops, honest))
		r.pass(54 * time.Second)
		_, err := r.wait(s.ID)
		f := r.failed(err)
		if wait := time.Until(f.RetryAt); wait <= 500*time.Millisecond || wait > time.Second {
			t.Errorf("replay in %v, want the first back-off", wait)
		}
		synctest.Wait()
		r.sweep()
		r.until(s.Token.Exp())
		r.wantPosts(s.ID, 2)
		r.wantRevision(s.ID, 2)
	})
}

// TestSpentTokenAndLostAnswer: the provider took the token and its answer was
// lost. The replay is refused, which before exp proves nothing; the access token
// is served to its end, nobody POSTs, and behind it the verdict counts.
func TestSpentTokenAndLostAnswer(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		r.reuses = 1 // the replay, at a strict provider: the price of the policy "late"
		s := r.login(60 * time.Second)
		r.op.does(inTurn(loses, honest))
		r.sweep()
		r.until(s.Token.Issued.Add(52 * time.Second))
		r.wantPosts(s.ID, 2)
		rec := r.record(s.ID)
		if rec.Session.Revision != 1 || !rec.InDoubt || !rec.ReplayAt.Equal(s.Token.Exp()) {
			t.Fatalf("after the refused replay: %+v", rec)
		}
		for time.Now().Before(s.Token.Exp().Add(-time.Second)) { // requests come all the time
			_, err := r.wait(s.ID)
			if f := r.failed(err); f.Class != session.Unknown && f.Class != session.Dead || f.RetryAt.Before(s.Token.Exp()) {
				t.Fatalf("a request in doubt was told %+v", f)
			}
			r.pass(500 * time.Millisecond)
		}
		r.wantPosts(s.ID, 2)
		r.until(s.Token.Exp().Add(confirmed + time.Second)) // the sweep asks, whether or not somebody comes
		r.wantPosts(s.ID, 3)
		r.wantEnded(s.ID, session.ReasonLostAnswer)
		if n := r.metric("bff_sessions_ended_total", string(session.ReasonLostAnswer)); n != 1 {
			t.Errorf("counted %v lost answers, want 1", n)
		}
		if got := r.rev.revoked(); len(got) != 0 {
			t.Errorf("revoked %d tokens the provider has ended itself", len(got))
		}
	})
}

// TestSecondUnknown: the replay's answer is lost too. No third try before exp;
// behind it under the ordinary back-off until the provider answers.
func TestSecondUnknown(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		r.op.does(drops)
		r.sweep()
		r.until(s.Token.Exp().Add(-time.Millisecond))
		r.wantPosts(s.ID, 2)
		if rec := r.record(s.ID); !rec.ReplayAt.Equal(s.Token.Exp()) || !rec.InDoubt || rec.Failures != 2 {
			t.Fatalf("after two lost answers: %+v", rec)
		}
		r.pass(time.Second)
		for i := range 20 { // requests keep coming, the provider stays deaf
			_, err := r.wait(s.ID)
			if f := r.failed(err); f.Class != session.Unknown {
				t.Fatalf("request %d was told %+v", i, f)
			}
			r.pass(500 * time.Millisecond)
		}
		posts := r.posts(s.ID)
		for i := 3; i < len(posts); i++ { // back-off of 4 s or 5 s, at least half of it, and the second of the check
			if gap := posts[i].at.Sub(posts[i-1].at); gap < 2*time.Second+confirmed {
				t.Errorf("POST %d came %v behind the one before", i+1, gap)
			}
		}
		if len(posts) < 4 {
			t.Errorf("%d POSTs: the replays stopped", len(posts))
		}
		r.op.does(honest)
		r.pass(5*time.Second + confirmed + time.Second)
		r.wantRevision(s.ID, 2)
	})
}

// TestRefusedReplayKeepsTheDoubt: a 503 to the replay says nothing about the
// token; a replay is still to be had.
func TestRefusedReplayKeepsTheDoubt(t *testing.T) {
	for name, refusal := range map[string]step{"busy": refuses(session.Transient), "unreachable": unreachable} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				s := r.login(60 * time.Second)
				r.op.does(inTurn(drops, refusal, honest))
				r.sweep()
				r.until(s.Token.Issued.Add(51*time.Second + 100*time.Millisecond))
				r.wantPosts(s.ID, 2)
				if !r.record(s.ID).InDoubt {
					t.Error("the refusal cleared the doubt")
				}
				r.until(s.Token.Exp())
				r.wantPosts(s.ID, 3)
				r.wantRevision(s.ID, 2)
			})
		})
	}
}

// crash plays kill -9: a new process over a copy of what the store holds, while
// the old one's flight is still under way. The caller settles the old one.
func (r *rig) crash(owner string) *rig {
	r.t.Helper()
	synctest.Wait()
	next := newRig(r.t, setup{owner: owner, mem: r.mem.Restarted(), op: r.op})
	next.handles = r.handles
	return next
}

// TestCrashBeforeThePost: the intent is durable, the POST was never made. The
// next process cannot know; it replays late and loses nothing.
func TestCrashBeforeThePost(t *testing.T) {
	play(t, setup{}, func(old *rig) {
		s := old.login(60 * time.Second)
		gate := faultstore.NewGate()
		old.store.Set(gate.After, faultstore.Begin)
		old.pass(42 * time.Second)
		old.ref.Start(old.view(s.ID)) // its Begin never comes back
		r := old.crash("two")
		defer r.close()
		r.sweep()
		r.doubtAfterCrash(s)
		posts := r.posts(s.ID)
		if len(posts) != 1 || !near(posts[0].at, s.Token.Issued.Add(50*time.Second+confirmed)) {
			t.Fatalf("ledger: %+v, want one POST at 51 s", posts)
		}
		r.wantRevision(s.ID, 2)
	})
}

// TestCrashAfterThePost: the provider held the request and never worked on it.
func TestCrashAfterThePost(t *testing.T) {
	play(t, setup{deadline: time.Hour}, func(old *rig) {
		s := old.login(60 * time.Second)
		died := make(chan struct{})
		old.op.does(inTurn(held(died, drops), honest))
		old.pass(42 * time.Second)
		old.ref.Start(old.view(s.ID))
		r := old.crash("two")
		defer r.close()
		r.sweep()
		r.doubtAfterCrash(s)
		r.wantPosts(s.ID, 2)
		r.wantRevision(s.ID, 2)
		close(died)
	})
}

// TestCrashAfterTheTokenWasSpent: the answer died with the process.
func TestCrashAfterTheTokenWasSpent(t *testing.T) {
	play(t, setup{deadline: time.Hour}, func(old *rig) {
		old.reuses = 1
		s := old.login(60 * time.Second)
		died := make(chan struct{})
		old.op.does(inTurn(func(_ context.Context, take func() session.Answer) session.Answer { a := take(); <-died; return a }, honest))
		old.pass(42 * time.Second)
		old.ref.Start(old.view(s.ID))
		r := old.crash("two")
		defer r.close()
		r.reuses = 1
		r.sweep()
		r.doubtAfterCrash(s)
		if rec := r.record(s.ID); !rec.InDoubt || rec.Session.Revision != 1 {
			t.Fatalf("before exp: %+v", rec)
		}
		r.until(s.Token.Exp().Add(500 * time.Millisecond))
		if _, err := r.wait(s.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("behind exp: %v", err)
		}
		synctest.Wait()
		r.wantEnded(s.ID, session.ReasonLostAnswer)
		r.wantPosts(s.ID, 3)
		close(died)
	})
}

// doubtAfterCrash fails unless requests are refused without a POST until the
// replay's time, while the sweep is running.
func (r *rig) doubtAfterCrash(s session.Session) {
	r.t.Helper()
	replay := s.Token.Issued.Add(50 * time.Second)
	before := len(r.op.ledger())
	for time.Now().Before(replay) {
		_, err := r.wait(s.ID)
		if f := r.failed(err); f.Class != session.Unknown || !f.RetryAt.Equal(replay) {
			r.t.Fatalf("a request was told %+v, want unknown until %v", f, replay)
		}
		if n := len(r.op.ledger()); n != before {
			r.t.Fatalf("POST at %v", time.Now())
		}
		r.pass(min(time.Second, max(1, time.Until(replay))))
	}
	r.until(s.Token.Exp().Add(-time.Second))
}

// TestTwoCrashesOneReplay: the process that replays dies too. There is one
// replay before exp, however many processes die.
func TestTwoCrashesOneReplay(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"sweep", "request"} {
		t.Run(by, func(t *testing.T) {
			play(t, setup{deadline: time.Hour}, func(first *rig) {
				s := first.login(60 * time.Second)
				died := make(chan struct{})
				first.op.does(inTurn(held(died, drops), held(died, drops), honest))
				first.pass(42 * time.Second)
				first.ref.Start(first.view(s.ID))
				second := first.crash("two")
				defer second.close()
				if by == "sweep" {
					second.sweep()
				} else {
					second.until(s.Token.Issued.Add(50 * time.Second))
					second.ref.Start(second.view(s.ID))
				}
				second.until(s.Token.Issued.Add(52 * time.Second))
				second.wantPosts(s.ID, 2)
				third := second.crash("three")
				defer third.close()
				third.sweep()
				third.until(s.Token.Exp().Add(-time.Millisecond))
				third.wantPosts(s.ID, 2)
				third.pass(confirmed + time.Second)
				third.wantRevision(s.ID, 2)
				close(died)
			})
		})
	}
}
