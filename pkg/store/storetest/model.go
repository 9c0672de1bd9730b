package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// model is the contract's reading of one session, written from its sentences
// and not from the transitions it judges: facts are kept apart, and the record
// is told from them.
type model struct {
	current   session.Session
	madeBy    store.AttemptID // of whose Commit
	ended     bool
	open      *store.Attempt
	openUntil time.Time // ReplayAt of its intent
	alive     bool      // its owner
	leased    bool      // the owner is alive until lease, and no longer
	lease     time.Time
	fence     uint64
	begun     int       // since the last Commit
	spent     bool      // perhaps: the refresh token is in doubt
	replayAt  time.Time // with none open
	notBefore time.Time
	failed    []session.Class // that told one
	failures  int
	past      []session.Outcome // all of them, since the login
	used      time.Time
}

func (m *model) record() store.Record {
	r := store.Record{
		Session: m.current, Attempt: m.open, Fence: m.fence, InDoubt: m.spent, ReplayAt: m.replayAt, NotBefore: m.notBefore,
		Failures: m.failures, Tries: m.begun, Committed: m.madeBy, Used: m.used, DueAt: m.current.SweepAt,
	}
	if m.open != nil {
		r.ReplayAt = m.openUntil
	}
	if n := len(m.failed); n > 0 {
		r.LastClass = m.failed[n-1]
	}
	r.History = m.past[max(0, len(m.past)-session.HistoryLen):]
	if m.spent || m.open != nil {
		r.DueAt = r.ReplayAt
	}
	if m.notBefore.After(r.DueAt) {
		r.DueAt = m.notBefore
	}
	return r
}

// begin returns the Attempt that Begin must give, or the error.
func (m *model) begin(rev session.Revision, in store.Intent, now time.Time) (store.Attempt, error) {
	if m.ended {
		return store.Attempt{}, session.ErrEnded
	}
	if rev != 0 && rev != m.current.Revision {
		return store.Attempt{}, session.ErrMoved
	}
	if m.open != nil && m.open.ID == in.AttemptID {
		return *m.open, nil
	}
	if m.open != nil && m.alive && !(m.leased && !now.Before(m.lease)) {
		return store.Attempt{}, session.ErrBusy
	}
	if m.notBefore.After(now) && !in.Force {
		return store.Attempt{}, session.ErrNotYet
	}
	if m.open != nil && m.openUntil.After(now) || m.open == nil && m.spent && m.replayAt.After(now) {
		return store.Attempt{}, session.ErrNotYet
	}
	if m.open != nil { // of a dead owner
		m.spent, m.replayAt = true, m.openUntil
	}
	m.fence++
	m.begun++
	m.open = &store.Attempt{
		ID: in.AttemptID, SessionID: m.current.ID, Revision: m.current.Revision, Fence: m.fence,
		InDoubt: m.spent, Tries: m.begun, Owner: in.Owner, FoundReplayAt: m.replayAt, Began: now, By: in.By,
	}
	m.openUntil, m.alive = in.ReplayAt, true
	m.lease = now.Add(max(in.Lease, in.Deadline+2*time.Second))
	return *m.open, nil
}

// holds is nil if a is the open attempt.
func (m *model) holds(a store.Attempt) error {
	switch {
	case m.ended:
		return session.ErrEnded
	case m.open == nil || m.open.ID != a.ID:
		return session.ErrMoved
	}
	return nil
}

func (m *model) extend(a store.Attempt, until time.Time) error {
	err := m.holds(a)
	if err == nil {
		m.lease = session.Later(m.lease, until)
	}
	return err
}

func (m *model) commit(a store.Attempt, next session.Session) error {
	switch {
	case m.ended:
		return session.ErrEnded
	case m.madeBy == a.ID && m.current.Revision == a.Revision+1:
		return nil
	case m.current.Revision != a.Revision:
		return session.ErrMoved
	}
	*m = model{current: next, leased: m.leased, madeBy: a.ID, fence: m.fence, used: m.used, past: append(m.past, outcome(a, session.Renewed))}
	return nil
}

func (m *model) fail(a store.Attempt, f session.Failure) error {
	if err := m.holds(a); err != nil {
		return err
	}
	if f.Sent {
		m.replayAt = m.openUntil
		if !f.ReplayAt.IsZero() {
			m.replayAt = f.ReplayAt
		}
		if m.spent = m.open.InDoubt || f.Class == session.Unknown; !m.spent {
			m.replayAt = time.Time{}
		}
	}
	m.notBefore = f.NotBefore
	m.failures++
	if f.Class != 0 { // not just given up
		m.failed = append(m.failed, f.Class)
		m.past = append(m.past, outcome(*m.open, f.Class))
	}
	m.open = nil
	return nil
}

// end returns the session that End must return, or the error.
func (m *model) end(only store.Cond) (session.Session, error) {
	holds := true
	switch {
	case m.ended:
		return session.Session{}, nil
	case only.Attempt != nil:
		holds = m.open != nil && m.open.ID == only.Attempt.ID
	case only.Revision != 0:
		holds = m.open == nil && m.current.Revision == only.Revision && m.fence == only.Fence
	case !only.UnusedSince.IsZero():
		holds = !m.used.After(only.UnusedSince)
	}
	if !holds {
		return session.Session{}, session.ErrMoved
	}
	m.ended = true
	return m.current, nil
}
