package refresh

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// effect is what an answer without tokens does to the session: end it, or fail
// the attempt and carry on.
type effect struct {
	end     session.Reason  // empty: the session lives
	failure session.Failure // when it lives
}

// effectOf is the one table Class → effect, under the replay
// policy "late". w is the window of the token that was to be replaced, wait the
// back-off after this failure.
func effectOf(ans session.Answer, a store.Attempt, w session.Window, now time.Time, wait time.Duration) effect {
	f := session.Failure{Class: ans.Class, Sent: ans.Sent, NotBefore: now.Add(wait)}
	switch ans.Class {
	case session.Dead:
		if !a.InDoubt {
			return effect{end: session.ReasonDead}
		}
		if !now.Before(w.Exp) {
			return effect{end: session.ReasonLostAnswer}
		}
		// The winner whose answer is missing may be cut off from the store and
		// commit yet, and until exp nothing is lost by waiting for it.
		f.ReplayAt = w.Exp
	case session.Foreign:
		return effect{end: session.ReasonForeign}
	case session.Unknown:
		f.ReplayAt = replayAt(w, now, wait, a.InDoubt)
	default:
		// The OP did not take the token; a doubt from before stays, and the replay is still to be had.
		f.ReplayAt = f.NotBefore
	}
	return effect{failure: f}
}

// replayAt is when a refresh whose answer is missing may be tried again, under
// the policy "late": once, half-way between the plan and the end, and again
// only past the end, when a replay can lose nothing more.
func replayAt(w session.Window, now time.Time, wait time.Duration, again bool) time.Time {
	at := w.Exp.Add(-w.Exp.Sub(w.DueAt) / 2)
	if again {
		at = w.Exp
	}
	return session.Later(at, now.Add(wait))
}
