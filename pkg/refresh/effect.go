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

// effectOf is the one table Class → effect. w is the window of the token that
// was to be replaced, wait the back-off after this failure.
func effectOf(p session.Profile, ans session.Answer, a store.Attempt, w session.Window, now time.Time, wait time.Duration) effect {
	f := session.Failure{Class: ans.Class, Sent: ans.Sent, NotBefore: now.Add(wait)}
	expired := !now.Before(w.Exp)
	switch ans.Class {
	case session.Dead:
		if !a.InDoubt {
			return effect{end: session.ReasonDead}
		}
		if expired {
			return effect{end: session.ReasonLostAnswer}
		}
		// The winner whose answer is missing may be cut off from the store and
		// commit yet, and until exp nothing is lost by waiting for it.
		f.ReplayAt = w.Exp
	case session.Foreign:
		return effect{end: session.ReasonForeign}
	case session.Unknown:
		if p.Replay == session.ReplayNever && expired {
			return effect{end: session.ReasonInDoubt}
		}
		f.ReplayAt = replayAt(p, w, now, wait, a.InDoubt)
	default:
		// The OP did not take the token; a doubt from before stays, and the replay is still to be had.
		f.ReplayAt = f.NotBefore
	}
	return effect{failure: f}
}

const replaySoon = 500 * time.Millisecond

// replayAt is when a refresh whose answer is missing may be tried again; again
// tells that it was a replay itself.
func replayAt(p session.Profile, w session.Window, now time.Time, wait time.Duration, again bool) time.Time {
	safe := p.Grace == session.Forever // the token is not spent by being used
	switch {
	case p.Replay == session.ReplayNever:
		return session.Later(w.Exp, now)
	case p.Replay == session.ReplayNow && (!again || safe || p.EndsAccess):
		return now.Add(replaySoon)
	case again: // past the end, when a replay can lose nothing more
		return session.Later(w.Exp, now.Add(wait))
	default: // half-way between the plan and the end
		return session.Later(w.Exp.Add(-w.Exp.Sub(w.DueAt)/2), now.Add(wait))
	}
}

// refreshable says why a session cannot be refreshed at all: the reaper has not
// come round yet, or the OP gave no refresh token.
func refreshable(s session.Session, now time.Time) error {
	switch {
	case !now.Before(s.EndsAt):
		return &session.EndedError{Reason: session.ReasonAbsolute, At: s.EndsAt}
	case s.Token.Refresh.IsZero():
		return &session.RefreshError{Class: session.Refused, RetryAt: s.EndsAt}
	}
	return nil
}
