package admin

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Sessions is what the session pages need; app fills it. The errors are those
// of package session, and ErrUnreadable.
type Sessions interface {
	// Lookup returns the sessions, live and ended, whose ID begins with prefix, at
	// most limit.
	Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error)
	// View shows a session as the store of record has it. An ended one is no error.
	View(ctx context.Context, id session.ID) (Session, error)
	// Refresh refreshes a session now, back-off or not, and returns when it is done;
	// *session.RefreshError when the session lives on without a new token,
	// ErrNotRefreshable when it never can have one.
	Refresh(ctx context.Context, id session.ID) error
	// Revoke ends a session as a logout does. One that has ended is no error.
	Revoke(ctx context.Context, id session.ID) error
}

// Crowd is all sessions at once. A user is named by the subject that the provider
// gives him (sub).
type Crowd interface {
	// All yields the live sessions, and those that cannot be read, of a user or, if
	// that is empty, of everybody. It holds a page of them at a time. An error is the
	// last that is yielded.
	All(ctx context.Context, user string) iter.Seq2[Session, error]
	// RevokeAll ends the sessions of a user and says how many, with an error too.
	RevokeAll(ctx context.Context, user string) (ended int, err error)
}

// ErrNotRefreshable says that the provider gave no refresh token, ErrUnreadable that no
// key at hand opens the record, or that it is damaged.
var (
	ErrNotRefreshable = errors.New("session has no refresh token")
	ErrUnreadable     = errors.New("session record cannot be read")
)

// The states of a Session.
const (
	StateLive  = "live"
	StateEnded = "ended"
	// StateUnreadable is that of ErrUnreadable in a list. There is nothing to be told but
	// its ID.
	StateUnreadable = "unreadable"
)

// Session is what an operator may see of one session. ID is the short form that
// the log has. At most one of Live and Ended is set, as State says.
type Session struct {
	ID    string    `json:"id"`
	State string    `json:"state"`
	AsOf  time.Time `json:"as_of"` // by lamplighter's clock
	*Live
	*Ended
	History []Outcome `json:"history"` // oldest first
}

// Live is the part of a session that has not ended. A time that is not in the
// answer is one that there is not.
type Live struct {
	Revision    uint64      `json:"revision"`
	App         string      `json:"app"`
	Provider    string      `json:"provider"`
	CreatedAt   time.Time   `json:"created_at"`
	EndsAt      time.Time   `json:"ends_at"`
	UsedAt      time.Time   `json:"used_at"`
	AccessToken AccessToken `json:"access_token"`
	Refreshable bool        `json:"refreshable"` // the provider gave a refresh token
	DueAt       time.Time   `json:"due_at,omitzero"`
	Attempt     *Attempt    `json:"attempt"` // null: no refresh is under way
	InDoubt     bool        `json:"in_doubt"`
	ReplayAt    time.Time   `json:"replay_at,omitzero"`
	NotBefore   time.Time   `json:"not_before,omitzero"`
	Failures    int         `json:"failures"` // since the last refresh that succeeded
	LastClass   string      `json:"last_class,omitzero"`
}

// AccessToken is everything about one but itself.
type AccessToken struct {
	IssuedAt        time.Time `json:"issued_at"`
	ExpiresAt       time.Time `json:"expires_at"`
	LifetimeSeconds int64     `json:"lifetime_seconds"`
	Freshness       string    `json:"freshness"`
}

// Attempt is a refresh under way.
type Attempt struct {
	By      string    `json:"by"`
	BeganAt time.Time `json:"began_at"`
	Tries   int       `json:"tries"`
	InDoubt bool      `json:"in_doubt"`
}

// Ended is what is left of a session until its absolute end. Why is the reason
// as a sentence.
type Ended struct {
	Reason  session.Reason `json:"reason"`
	Why     string         `json:"why"`
	EndedAt time.Time      `json:"ended_at"`
}

// Outcome is one refresh of the past.
type Outcome struct {
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Class    string    `json:"class"`
	Revision uint64    `json:"revision"`
	Replay   bool      `json:"replay"`
}
