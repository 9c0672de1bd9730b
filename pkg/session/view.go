package session

import "time"

// View is what a Check needs of a session, computed once when it is published:
// the read cache holds Views. It is immutable and shared by all readers.
type View struct {
	Session Session
	Window  Window
	// NotBefore: an attempt before this instant is pointless, whoever asks
	// (cool-down, back-off, or in doubt). Requests answer from the view.
	NotBefore time.Time
	// InDoubt: the refresh token may be spent; the next attempt is a replay.
	InDoubt bool
	// Renewing: a refresh is under way that ends the current access token. Whoever
	// needs one waits for its outcome, however fresh this one looks.
	Renewing bool
	// LastClass is how the last attempt failed; zero when it did not.
	LastClass Class
	// Used is the last use as the store knew it when the view was made.
	Used time.Time
	// Headers is what the Check front prepared from Session; opaque to everybody else.
	Headers any
	// Epoch is when the view was made, in a count of the cache's own.
	Epoch uint64
	// Size is what the view costs the cache, in bytes.
	Size int64
}
