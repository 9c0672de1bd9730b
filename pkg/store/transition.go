package store

import (
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// The steps of a record, pure: no lock, no clock, no I/O. A backend applies one
// inside its own exclusion and makes the result durable before it answers.

// NewRecord is the record of a just created session.
func NewRecord(s session.Session) Record {
	return Record{Session: s, Used: s.CreatedAt, DueAt: s.SweepAt}
}

// Begin opens an attempt on r; see Store.Begin for the order and the errors.
// ownerAlive tells of the open attempt's owner, if one is open. With an error
// the record is unchanged.
func (r Record) Begin(rev session.Revision, in Intent, now time.Time, ownerAlive bool) (Record, Attempt, error) {
	switch {
	case rev != 0 && rev != r.Session.Revision:
		return r, Attempt{}, session.ErrMoved
	case r.Attempt != nil && r.Attempt.ID == in.AttemptID:
		return r, *r.Attempt, nil
	case r.Attempt != nil && ownerAlive:
		return r, Attempt{}, session.ErrBusy
	case !in.Force && now.Before(r.NotBefore):
		return r, Attempt{}, session.ErrNotYet
	case (r.InDoubt || r.Attempt != nil) && now.Before(r.ReplayAt):
		return r, Attempt{}, session.ErrNotYet
	}
	r.Fence++
	r.Tries++
	a := Attempt{
		ID: in.AttemptID, SessionID: r.Session.ID, Revision: r.Session.Revision, Fence: r.Fence,
		// A replaced open attempt may have been POSTed by an owner that died: doubt starts here.
		InDoubt: r.InDoubt || r.Attempt != nil,
		Tries:   r.Tries, Owner: in.Owner, FoundReplayAt: r.ReplayAt, Began: now, By: in.By,
	}
	r.InDoubt = a.InDoubt
	r.Attempt = &a
	r.ReplayAt = in.ReplayAt
	r.DueAt = r.due()
	return r, a, nil
}

// Holds reports whether a is the open attempt.
func (r Record) Holds(a Attempt) bool { return r.Attempt != nil && r.Attempt.ID == a.ID }

// Commit is the transition from revision n to n+1; see Store.Commit. done tells
// that this very commit has been made before.
func (r Record) Commit(a Attempt, next session.Session) (_ Record, done bool, _ error) {
	switch {
	case r.Committed == a.ID && r.Session.Revision == a.Revision+1:
		return r, true, nil
	case r.Session.Revision != a.Revision || next.Revision != a.Revision+1:
		return r, false, session.ErrMoved
	}
	return Record{
		Session: next, Fence: r.Fence, Committed: a.ID,
		Used: r.Used, DueAt: next.SweepAt, History: r.remember(a, session.Renewed),
	}, false, nil
}

// remember is the history with one more outcome. It shares no array with r's:
// records are values.
func (r Record) remember(a Attempt, class session.Class) []session.Outcome {
	kept := r.History[max(0, len(r.History)+1-session.HistoryLen):]
	return append(slices.Clone(kept), a.Outcome(class))
}

// Outcome is the history's line of an attempt that was answered so.
func (a Attempt) Outcome(class session.Class) session.Outcome {
	return session.Outcome{At: a.Began, By: a.By, Class: class, Revision: a.Revision, Replay: a.InDoubt}
}

// Fail closes a without tokens; see Store.Fail.
func (r Record) Fail(a Attempt, f session.Failure) (Record, error) {
	if !r.Holds(a) {
		return r, session.ErrMoved
	}
	open := *r.Attempt
	r.Attempt = nil
	switch {
	case !f.Sent:
		r.ReplayAt = open.FoundReplayAt
	case f.Class == session.Unknown || open.InDoubt:
		r.InDoubt = true
		if !f.ReplayAt.IsZero() {
			r.ReplayAt = f.ReplayAt
		}
	default:
		r.ReplayAt = time.Time{}
	}
	if f.Class != 0 {
		r.History = r.remember(open, f.Class)
		r.LastClass = f.Class
	}
	r.Failures++
	r.NotBefore = f.NotBefore
	r.DueAt = r.due()
	return r, nil
}

// MayEnd checks the condition of an End; ErrMoved if it does not hold.
func (r Record) MayEnd(only Cond) error {
	holds := true
	switch {
	case only.Attempt != nil:
		holds = r.Holds(*only.Attempt) && r.Session.Revision == only.Attempt.Revision
	case only.Revision != 0:
		holds = r.Attempt == nil && r.Session.Revision == only.Revision && r.Fence == only.Fence
	case !only.UnusedSince.IsZero():
		holds = !r.Used.After(only.UnusedSince)
	}
	if !holds {
		return session.ErrMoved
	}
	return nil
}

// Tombstone is what an End that MayEnd leaves of r. An attempt that ends its
// session enters the history with the OP's verdict, if there was one.
func (r Record) Tombstone(why session.Reason, only Cond, now time.Time) Tombstone {
	t := Tombstone{Reason: why, At: now, Until: r.Session.EndsAt, History: r.History}
	if class := why.Verdict(); class != 0 && only.Attempt != nil {
		t.History = r.remember(*r.Attempt, class)
	}
	return t
}

// Orphaned is r in a store that the owner of its open attempt has never reached:
// whether the request was sent nobody can tell there, so it is in doubt.
func (r Record) Orphaned() Record {
	if r.Attempt != nil {
		r.Attempt, r.InDoubt = nil, true
		r.DueAt = r.due()
	}
	return r
}

// Newer reports whether r knows more of its session than other does: a later
// revision, or a later attempt on the same.
func (r Record) Newer(other Record) bool {
	if r.Session.Revision != other.Session.Revision {
		return r.Session.Revision > other.Session.Revision
	}
	return r.Fence > other.Fence
}

// BelongsTo reports whether the record's session is one of the subject, or of
// the OP session, of k.
func (r Record) BelongsTo(k session.SubjectKey) bool {
	s := r.Session
	if k.App != s.App || k.Provider != s.Provider {
		return false
	}
	if k.Sub != "" {
		return k.Sub == s.Identity.Subject
	}
	return k.SID != "" && k.SID == s.Identity.SID
}

// due is when the sweep should look: the planned time, or that of a replay, which
// may come long before it (an operator's refresh) and has the OP's grace to keep
// to; later if something holds the session back.
func (r Record) due() time.Time {
	at := r.Session.SweepAt
	switch {
	case at.IsZero():
		return time.Time{}
	case (r.InDoubt || r.Attempt != nil) && !r.ReplayAt.IsZero():
		at = r.ReplayAt
	}
	return session.Later(at, r.NotBefore)
}
