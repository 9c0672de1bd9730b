package store

import (
	"context"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Store is the store of record: linearizable per session, safe for concurrent
// use. Durations go in; the store's clock decides. Only the sentinels of
// package session leave it (ErrNotFound, ErrExists, ErrEnded, ErrMoved,
// ErrBusy, ErrNotYet, ErrUnavailable), possibly wrapped; a context error is
// ErrUnavailable too. After ErrUnavailable a call may or may not have taken
// effect: every method can be repeated. Sessions and records are values: what a
// caller does to one it has given or been given never changes the store.
//
// A record that cannot be read (unknown key, failed open, impossible content)
// is ErrUnavailable, as ErrUnreadable, and an alarm: never ErrNotFound, never deleted.
type Store interface {
	// Create writes revision 1, durable when it returns. ErrExists if the ID is
	// taken, by a tombstone too.
	Create(ctx context.Context, s session.Session) error

	// Get reads the record. During an attempt that is revision n with the
	// Attempt: a Check serves it by freshness. A tombstone is ErrEnded
	// (*session.EndedError). A record that is Lost is ErrUnavailable and the Record.
	Get(ctx context.Context, id session.ID) (Record, error)

	// Begin opens an attempt, in one atomic step, in this order:
	//
	//   - missing: ErrNotFound; tombstone: ErrEnded
	//   - rev is not 0 and not the current one: ErrMoved and the Record (adopt the winner)
	//   - the same AttemptID is open: the same Attempt again (a lost reply is retried safely)
	//   - an attempt whose owner is alive is open: ErrBusy and the Record (never POST)
	//   - NotBefore ahead (Force passes this), or ReplayAt ahead while in doubt or over
	//     a dead owner's open attempt (Force never passes this): ErrNotYet and the Record
	//   - else the intent is durable when Begin returns.
	//
	// The attempt is InDoubt if what it replaces was open or in doubt.
	Begin(ctx context.Context, id session.ID, rev session.Revision, in Intent) (Record, Attempt, error)

	// Extend prolongs the lease. ErrMoved if a is not the open attempt.
	Extend(ctx context.Context, a Attempt, lease time.Duration) error

	// Commit makes next the current revision. It compares the revision alone,
	// so a late winner's tokens are kept: after Fail, or under a newer fence, it
	// succeeds while the revision is unchanged. Tombstone: ErrEnded (revoke
	// next). Revision moved: ErrMoved (drop next, do not revoke it: that may kill
	// the family). Repeated with the same AttemptID after success: nil. It clears
	// attempt, doubt, ReplayAt, NotBefore and Failures, and enters the history.
	Commit(ctx context.Context, a Attempt, next session.Session) error

	// Fail closes a without tokens. Not sent: in doubt as the attempt itself was,
	// ReplayAt as Begin found it. Sent and refused: ReplayAt dropped unless in
	// doubt. Sent and unknown: in doubt until ReplayAt. Failures+1, NotBefore set,
	// due again at SweepAt, or in doubt at ReplayAt, but not before NotBefore. It
	// enters the history, unless its Class is zero: the attempt was given up and
	// nothing was tried. ErrMoved and no effect if a is not the open attempt; a is
	// matched by its ID, so that a lost Begin reply can be given up with Fail(not
	// sent).
	Fail(ctx context.Context, a Attempt, f session.Failure) error

	// End leaves a tombstone until the absolute end, with the history, and removes attempt, due, used
	// and subject entries. It returns the last session, for its tokens to be
	// revoked. Ending twice is nil with a zero Session. ErrMoved and no effect if
	// the condition does not hold.
	End(ctx context.Context, id session.ID, why session.Reason, only Cond) (session.Session, error)
}

// Index finds sessions without knowing an ID. The same object as the Store.
type Index interface {
	// Due returns a copied page of at most limit entries with DueAt not after
	// before, earliest first, and the earliest due time that remains (zero: none).
	// Entries not used since usedSince leave the index (parked) and come back by
	// Touch or Commit; entries that are Late by before leave it too. Cost is O(returned + left out), not O(sessions).
	Due(ctx context.Context, before, usedSince time.Time, limit int) (entries []DueEntry, next time.Time, err error)

	// Touch merges last uses by max and re-enters parked sessions. Unknown and
	// ended ids are passed over.
	Touch(ctx context.Context, used map[session.ID]time.Time) error

	// Find returns the live sessions of a user or of an OP session; every hit has
	// been verified on the record.
	Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error)

	// Lookup returns the sessions and tombstones whose ID begins with prefix, at
	// most limit: an operator knows a session by the short form in the log.
	Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error)

	// List returns a page of at most limit sessions and tombstones, and the place
	// behind it; the zero Cursor says that there are no more, and as an argument is
	// before all. Whatever is there from the first page to the last is listed once;
	// what comes or goes meanwhile may be. Nothing is held between two pages.
	List(ctx context.Context, after Cursor, limit int) (ids []session.ID, next Cursor, err error)

	// Reap lists at most limit sessions that were not used since unusedSince or
	// are past their absolute end, and deletes tombstones that are past theirs.
	// It ends nothing: the caller does, under Cond.UnusedSince.
	Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error)
}

// Cursor is a place in the order in which List goes through one store; opaque.
type Cursor string

// AttemptID is 128 random bits, the caller's.
type AttemptID [16]byte

// Record is the state of one live session.
type Record struct {
	Session session.Session
	// History is the last refreshes, oldest first, at most session.HistoryLen.
	History  []session.Outcome
	Attempt  *Attempt // the open attempt; nil: none
	Fence    uint64   // of the newest attempt ever, open or not
	InDoubt  bool     // the refresh token may be spent
	ReplayAt time.Time
	// NotBefore is the back-off; Failures counts since the last Commit.
	NotBefore time.Time
	Failures  int
	LastClass session.Class // of the newest failure that tells one; zero after a Commit
	Tries     int           // attempts begun since the last Commit
	Committed AttemptID     // whose Commit made the current revision
	Used      time.Time
	DueAt     time.Time // zero: never due
	// Lost is the newest revision that this process has seen, if the store has an older
	// one: a failover has lost it, or its Commit is on the way. Nobody may be served
	// from this one, and its refresh token may be spent. Else it is 0. It is what one
	// process knows, and is not stored.
	Lost session.Revision `store:"-"`
}

// Intent is what Begin writes before the token request.
type Intent struct {
	AttemptID AttemptID
	Owner     string // this process incarnation
	// Lease and Deadline bound how long a silent owner counts as alive, where
	// processes share the store. One-process stores know it from Owner.
	Lease, Deadline time.Duration
	ReplayAt        time.Time // when a replay is allowed should the answer never arrive
	Force           bool      // an operator asked: passes NotBefore
	By              string    // who asked, for the history
}

// Attempt is the right to make one token request.
type Attempt struct {
	ID        AttemptID
	SessionID session.ID
	Revision  session.Revision
	Fence     uint64
	InDoubt   bool // this attempt is a replay
	Tries     int
	Owner     string
	Began     time.Time // by the store's clock
	By        string
	// FoundReplayAt is ReplayAt as Begin found it, for Fail(not sent) to restore.
	FoundReplayAt time.Time
}

// Cond makes an End conditional; the zero value is unconditional. At most one
// of the three forms is set.
type Cond struct {
	Attempt     *Attempt         // this one is open and the revision is its own
	Revision    session.Revision // with Fence: both unchanged and no attempt open
	Fence       uint64
	UnusedSince time.Time // Used is not later
}

// DueEntry is one session the sweep should look at.
type DueEntry struct {
	ID       session.ID
	Revision session.Revision
	DueAt    time.Time
	Exp      time.Time
}

// LateAfter is how long an entry may wait in the queue of a sweep that keeps up.
const LateAfter = time.Second

// Late tells that e has waited for its turn until its access token expired: the
// sweep does not keep up, and the request path owns e. Without this an overloaded
// sweep would work on tokens that nobody can use any more. A retry that meets the
// expiry without such a wait is not late: nobody may come for a long time.
func (e DueEntry) Late(now time.Time) bool {
	return !now.Before(e.Exp) && now.Sub(e.DueAt) > LateAfter
}

// Tombstone is what is left of an ended session until its absolute end.
type Tombstone struct {
	Reason  session.Reason
	At      time.Time
	Until   time.Time
	History []session.Outcome
}

// Err is ErrEnded with the tombstone's reason and time.
func (t Tombstone) Err() error {
	return &session.EndedError{Reason: t.Reason, At: t.At, Until: t.Until, History: slices.Clone(t.History)}
}
