package schedules

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// ownerDead is how long after its Begin an owner may be taken for dead.
const ownerDead = deadline + 2*time.Second

// wrongf notes a broken rule. The caller holds the lock.
func (w *world) wrongf(format string, args ...any) {
	w.wrong = append(w.wrong, w.at()+fmt.Sprintf(format, args...))
}

func (w *world) at() string { return fmt.Sprintf("%6.2f s: ", time.Since(w.start).Seconds()) }

// watch looks at the store after a step: a revision never goes back, and what
// has ended stays so. The caller holds the lock.
func (w *world) watch() {
	r, err := w.mem.Get(context.Background(), w.id)
	switch {
	case errors.Is(err, session.ErrEnded):
		w.over = true
	case err != nil:
		w.wrongf("the store says %v", err)
	case w.over:
		w.wrongf("the session is back after its end")
	case r.Session.Revision < w.revision || r.Session.Revision > w.revision+1:
		w.wrongf("revision %d after %d", r.Session.Revision, w.revision)
	case r.Session.Token.Issued.Before(w.issued):
		w.wrongf("tokens issued %v earlier took the place of newer ones", w.issued.Sub(r.Session.Token.Issued))
	default:
		w.revision, w.issued = r.Session.Revision, r.Session.Token.Issued
	}
}

// posted holds a token request against what its process was told by Begin. The
// request is on its way until the function it returns is called, at most until
// its process gives it up.
func (w *world) posted(e *engine, n int, givenUp time.Time) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, a, r := time.Now(), e.begun.attempt, e.begun.record
	if stored := number(r.Session.Token.Refresh); stored != n || r.Session.Revision != a.Revision {
		w.wrongf("%s sent token %d at revision %d, the store has %d", e.name(), n, a.Revision, stored)
	}
	spent := w.mode != nonRotating && n < w.op.newest
	another := now.Before(w.onWay[a.Revision])
	if spent || another || w.lost[a.Revision] {
		switch {
		case !a.InDoubt:
			w.wrongf("%s sent token %d again and did not know", e.name(), n)
		case w.profile.Replay == session.ReplayNever:
			w.wrongf("%s sent token %d again under the policy never", e.name(), n)
		case now.Before(a.FoundReplayAt):
			w.wrongf("%s sent token %d again %v too early", e.name(), n, a.FoundReplayAt.Sub(now))
		case another:
			w.wrongf("%s sent token %d while another request with it was on its way", e.name(), n)
		}
	}
	w.onWay[a.Revision] = session.Later(w.onWay[a.Revision], givenUp)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.onWay[a.Revision].Equal(givenUp) {
			delete(w.onWay, a.Revision)
		}
	}
}

// provide lets the provider work on a request of e.
func (w *world) provide(e *engine, n int) session.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, r := e.begun.attempt, e.begun.record
	if a.InDoubt && w.profile.Replay == session.ReplayLate && time.Now().Before(r.Session.Token.Exp()) {
		if w.replays[a.Revision]++; w.replays[a.Revision] > 1 {
			w.wrongf("%s made the second replay before the token's end", e.name())
		}
	}
	ans := w.op.take(n)
	w.note("the provider answers %s: %v", e.name(), ans.Class)
	if ans.Class == session.Renewed {
		if e.holds = number(ans.Grant.Refresh); e.holds == 0 {
			e.holds = n
		}
	}
	return ans
}

// unanswered: e knows nothing of what came of its request.
func (w *world) unanswered(e *engine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.holds = 0
	w.lost[e.begun.attempt.Revision] = true
}

// settled: the store has had its word on tokens that e held. Of a session that
// has ended they have to be revoked. The caller holds the lock.
func (w *world) settled(e *engine, next session.Session, err error) {
	e.holds = 0
	if session.Gone(err) && !e.dead {
		w.toRevoke[number(next.Token.Refresh)] = e
	}
}

// ended holds an end that a refresh brought about against who knew better. The
// caller holds the lock.
func (w *world) ended(e *engine, before store.Record, why session.Reason, only store.Cond) {
	w.note("%s ends the session: %s", e.name(), why)
	if why == session.ReasonLogout {
		return
	}
	if a := only.Attempt; a == nil || !before.Holds(*a) || a.Revision != before.Session.Revision {
		w.wrongf("%s ended the session (%s) and did not have the attempt", e.name(), why)
	}
	if why == session.ReasonInDoubt {
		return // the policy never gives up what may live
	}
	if w.op.living(number(before.Session.Token.Refresh)) {
		w.wrongf("%s ended the session (%s) whose stored token lives", e.name(), why)
	}
	waits := time.Now().Before(before.Session.Token.Exp()) // nothing is lost by waiting for who was cut off
	for _, o := range w.engines {
		if o.holds != 0 && w.op.living(o.holds) && (waits || time.Since(o.begun.attempt.Began) <= ownerDead) {
			w.wrongf("%s ended the session (%s) while %s holds a living token", e.name(), why, o.name())
		}
	}
}

// rested tells that the session is refreshed or ended, and nothing is open. The
// caller holds the lock.
func (w *world) rested() bool {
	r, err := w.mem.Get(context.Background(), w.id)
	if err != nil {
		return errors.Is(err, session.ErrEnded)
	}
	return r.Attempt == nil && !r.InDoubt && time.Now().Before(r.Session.Token.Exp())
}

// unrevoked is what is wrong in the very end: tokens of an ended session that
// live on.
func (w *world) unrevoked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, e := range w.toRevoke {
		if !e.dead && !w.revoked[n] {
			w.wrongf("%s was given token %d of a session that had ended, and did not revoke it", e.name(), n)
		}
	}
}
