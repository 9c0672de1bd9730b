package session

import "time"

// Class is what the answer of a token endpoint means, before any effect: HTTP
// becomes a Class in the relying party, a Class becomes an effect in the
// refresher, each in one table.
type Class uint8

// The classes. The zero value is no class.
const (
	_             Class = iota
	Renewed             // tokens
	Transient           // not written, or the OP asked to come back: the token is unspent
	Unknown             // written, and no usable answer: the token may be spent
	Dead                // the OP's verdict on this refresh token (invalid_grant)
	Misconfigured       // the OP refuses us, not the user (invalid_client)
	Refused             // the OP refuses this request for another reason
	Foreign             // tokens of somebody else
)

var classNames = [...]string{"none", "renewed", "transient", "unknown", "dead", "misconfigured", "refused", "foreign"}

// String is the class's name, the value of the metric label "reason".
func (c Class) String() string { return classNames[c] }

// Classes lists every class an answer can have.
func Classes() []Class {
	return []Class{Renewed, Transient, Unknown, Dead, Misconfigured, Refused, Foreign}
}

// Outcome is one refresh in a session's history. It holds nothing secret.
type Outcome struct {
	At       time.Time // when it began
	By       string    // who asked: request, sweep, operator
	Class    Class
	Revision Revision // that was to be replaced
	Replay   bool     // of a token that may have been spent
}

// HistoryLen is how many outcomes a history keeps, the newest.
const HistoryLen = 8

// Failure is how one attempt ended without tokens; see the store's Fail.
type Failure struct {
	Class     Class
	Sent      bool      // the token request was written, at least in part
	NotBefore time.Time // no attempt before; zero: at once
	ReplayAt  time.Time // while in doubt, no replay before; zero: as the attempt has it
}

// Reason says why a session ended. It is kept with the tombstone and is a
// metric label; it holds nothing of the user.
type Reason string

// The reasons of an end.
const (
	ReasonLogout     Reason = "logout"      // the user asked
	ReasonIdle       Reason = "idle"        // not used for session.idle
	ReasonAbsolute   Reason = "absolute"    // session.absolute is over
	ReasonDead       Reason = "dead"        // the OP refused the refresh token
	ReasonLostAnswer Reason = "lost_answer" // the OP refused the replay of a refresh whose answer never arrived
	ReasonInDoubt    Reason = "in_doubt"    // such a refresh, under ReplayNever, when the access token expired
	ReasonForeign    Reason = "foreign"     // the OP answered with somebody else's tokens
	ReasonRevoked    Reason = "revoked"     // an operator asked
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonLogout, ReasonIdle, ReasonAbsolute, ReasonDead, ReasonLostAnswer, ReasonInDoubt, ReasonForeign, ReasonRevoked}
}

// Verdict is the class of the answer that ends a session for this reason; zero
// if none does.
func (r Reason) Verdict() Class {
	switch r {
	case ReasonDead, ReasonLostAnswer:
		return Dead
	case ReasonForeign:
		return Foreign
	default:
		return 0
	}
}
