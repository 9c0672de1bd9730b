package session

import (
	"errors"
	"fmt"
	"time"
)

// The sentinels a store returns, and nothing else leaves one. Classify with
// errors.Is; they may be wrapped.
var (
	ErrNotFound    = errors.New("session not found")
	ErrExists      = errors.New("session exists")
	ErrEnded       = errors.New("session ended")
	ErrMoved       = errors.New("session moved on")
	ErrBusy        = errors.New("refresh attempt is open")
	ErrNotYet      = errors.New("too early for a refresh attempt")
	ErrUnavailable = errors.New("store unavailable")
)

// Gone tells whether err says that there is no session any more: it was ended,
// or never was. Any other error says nothing about the session.
func Gone(err error) bool { return errors.Is(err, ErrEnded) || errors.Is(err, ErrNotFound) }

// EndedError is ErrEnded with what the tombstone knows.
type EndedError struct {
	Reason  Reason
	At      time.Time
	Until   time.Time // it is remembered; zero when the store has not been told yet
	History []Outcome // the last refreshes, oldest first
}

func (e *EndedError) Error() string { return fmt.Sprintf("session ended: %s", e.Reason) }

// Is makes errors.Is(err, ErrEnded) true.
func (e *EndedError) Is(target error) bool { return target == ErrEnded }

// RefreshError is a failed refresh of a session that lives on: the outcome that
// all waiters of the flight share.
type RefreshError struct {
	Class   Class
	RetryAt time.Time // the earliest next attempt
}

func (e *RefreshError) Error() string { return fmt.Sprintf("refresh failed: %s", e.Class) }
