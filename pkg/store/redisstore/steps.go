package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// aliveAfterDeadline is how long an owner counts as alive after its deadline.
const aliveAfterDeadline = 2 * time.Second

var (
	graceMillis = decimal(uint64(keptAfterEnd.Milliseconds()))
	historyMost = decimal(session.HistoryLen)
)

// Create implements store.Store. The subject index comes first: a session that
// nobody can find by its user must not be.
func (s *Store) Create(ctx context.Context, ses session.Session) error {
	changing, err := s.changing(ses)
	if err != nil {
		return err
	}
	if err := s.list(ctx, ses); err != nil {
		return err
	}
	args := append([]string{graceMillis, stamp(ses.EndsAt), stamp(ses.CreatedAt), stamp(ses.SweepAt), "used", stamp(ses.CreatedAt)}, changing...)
	if _, err := s.lastingStep(ctx, s.lua.create, ses.ID, args...); err != nil {
		return err
	}
	s.seen.saw(ses.ID, ses.Revision)
	return nil
}

// Begin implements store.Store.
func (s *Store) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (store.Record, store.Attempt, error) {
	hold := max(in.Lease, in.Deadline+aliveAfterDeadline)
	seen := s.seen.newest(id)
	if seen == over {
		_, err := s.Get(ctx, id)
		return store.Record{}, store.Attempt{}, err
	}
	of, refused := s.lastingStep(ctx, s.lua.begin, id, decimal(rev), string(in.AttemptID[:]), in.Owner, micros(hold), stamp(in.ReplayAt),
		flag(in.Force), in.By, decimal(seen))
	if of == nil {
		return store.Record{}, store.Attempt{}, refused
	}
	r, err := s.decode(id, of)
	if err != nil {
		return store.Record{}, store.Attempt{}, err
	}
	if r.Session.Revision < seen {
		r.Lost = seen
	}
	if refused != nil && r.Lost != 0 { // not to be answered from, nor adopted
		return store.Record{}, store.Attempt{}, errLost
	}
	if refused != nil {
		return r, store.Attempt{}, refused
	}
	return r, *r.Attempt, nil
}

// Extend implements store.Store.
func (s *Store) Extend(ctx context.Context, a store.Attempt, lease time.Duration) error {
	_, err := s.step(ctx, s.lua.extend, a.SessionID, string(a.ID[:]), micros(lease))
	return err
}

// errIndexFirst is the commit script's: the user or the OP session is another now.
var errIndexFirst = errors.New("list the session first")

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	changing, err := s.changing(next)
	if err != nil {
		return err
	}
	rev := ""
	if next.Revision == a.Revision+1 {
		rev = decimal(next.Revision)
	}
	commit := func(listed string) error {
		args := append([]string{
			graceMillis, string(a.ID[:]), decimal(a.Revision), rev, historyLine(a.Outcome(session.Renewed)), historyMost,
			listed, stamp(next.EndsAt), stamp(next.SweepAt),
		}, changing...)
		_, err := s.lastingStep(ctx, s.lua.commit, a.SessionID, args...)
		return err
	}
	sent := ctx.Err() == nil
	if err = commit(s.listed(next)); errors.Is(err, errIndexFirst) {
		if err = s.list(ctx, next); err == nil {
			err = commit("")
		}
	}
	switch {
	case err == nil:
		s.seen.stored(a.SessionID, next.Revision)
	case errors.Is(err, session.ErrNotFound):
		s.seen.forget(a.SessionID)
	case errors.Is(err, session.ErrUnavailable) && sent && rev != "": // whoever waits for these tokens has them from now on
		s.seen.saw(a.SessionID, next.Revision)
	}
	return err
}

// Fail implements store.Store.
func (s *Store) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	class := ""
	if f.Class != 0 {
		class = decimal(f.Class)
	}
	_, err := s.step(ctx, s.lua.fail, a.SessionID, string(a.ID[:]), flag(f.Sent), flag(f.Class == session.Unknown), class,
		stamp(f.NotBefore), stamp(f.ReplayAt), historyMost)
	return err
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	verdict := ""
	if class := why.Verdict(); class != 0 {
		verdict = decimal(class)
	}
	args := []string{"", "", "", "", ""}
	switch {
	case only.Attempt != nil:
		args = []string{"attempt", string(only.Attempt.ID[:]), decimal(only.Attempt.Revision), "", ""}
	case only.Revision != 0:
		args = []string{"revision", "", decimal(only.Revision), decimal(only.Fence), ""}
	case !only.UnusedSince.IsZero():
		args = []string{"unused", "", "", "", stamp(only.UnusedSince)}
	}
	of, err := s.lastingStep(ctx, s.lua.end, id, append(append([]string{graceMillis}, args...), string(why), verdict, historyMost)...)
	if err != nil || len(of) == 0 {
		return session.Session{}, err
	}
	s.seen.ended(id)
	r, err := s.record(id, of)
	if err != nil { // it has ended all the same; nobody can revoke what nobody can read
		s.alarm.Unreadable(id, err)
		return session.Session{}, nil
	}
	s.unlist(ctx, r.Session)
	return r.Session, nil
}
