package op

import "time"

// Kind says what an [Event] reports.
type Kind string

// The kinds of event.
const (
	KindLogin   Kind = "login"   // a user signed in; Silent when the browser session sufficed
	KindCode    Kind = "code"    // an authorization code was redeemed: a new family
	KindRefresh Kind = "refresh" // a refresh token was accepted
	KindReuse   Kind = "reuse"   // a spent refresh token came back
	KindRevoke  Kind = "revoke"  // a family, or one access token, was revoked for Reason
	KindReplace Kind = "replace" // a new login of its user and client ended a family's refresh token
	KindLogout  Kind = "logout"  // end_session ended a browser session
)

// Reasons a family is revoked for.
const (
	ReasonReuse      = "reuse"      // a spent refresh token came back
	ReasonReplay     = "replay"     // an authorization code came back (RFC 6749 section 4.1.2)
	ReasonRevocation = "revocation" // a client asked for it (RFC 7009)
	ReasonLogout     = "logout"     // end_session
)

// Event is one thing that happened, for people to read. It holds no token, no
// code and no user name.
type Event struct {
	Time       time.Time
	Kind       Kind
	Client     string // client_id, where one is concerned
	Family     string // "f1", …, where one is concerned
	Generation int    // the refresh token generation that was presented; 0 for none
	Reason     string // why, for KindRevoke
	Silent     bool   // for KindLogin
}
