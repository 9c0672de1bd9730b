package session

import (
	"cmp"
	"time"
)

// Session is one login of one browser, an immutable value: a change is a new
// value with the next Revision.
type Session struct {
	ID       ID
	Revision Revision
	App      string // which application's rules it belongs to
	Provider string // issuer URL of the OP that logged the user in

	Token    Token
	Identity Identity

	CreatedAt time.Time // wall time of the login
	EndsAt    time.Time // absolute end; no refresh moves it
	SweepAt   time.Time // when the sweep wants it, fixed at Create and Commit; zero: never
}

// Token is the outcome of one successful token request (RFC 6749 section 5.1).
type Token struct {
	Access   AccessToken
	Refresh  RefreshToken // zero: the OP gave none
	ID       IDToken      // the latest one whose signature and claims held; zero: none
	Issued   time.Time    // t0, the instant before the request was written
	Lifetime time.Duration
}

// Exp is the wall time after which the access token is no longer served.
func (t Token) Exp() time.Time { return t.Issued.Add(t.Lifetime) }

// Identity is what the ID Token says of the user (OIDC Core section 2).
// Subject, Email and Name are personal: they go to upstream headers and to
// /auth/session, never to a log.
type Identity struct {
	Subject  string
	SID      string // OP session id, for back-channel logout; may be empty
	Email    string
	Name     string
	AuthTime time.Time         // auth_time; zero when the OP did not say
	Claims   map[string]string // the configured further claims, flattened to header values
}

// SubjectKey finds the sessions of one user (Sub) or of one OP session (SID).
// Exactly one of Sub and SID is set.
type SubjectKey struct{ App, Provider, Sub, SID string }

// Grant is what a token endpoint answered with, already checked: an ID Token
// that could not be verified has been left out by the relying party.
type Grant struct {
	Access   AccessToken
	Refresh  RefreshToken // zero: keep the old one
	ID       IDToken      // zero: keep the old one, and the old Identity
	Identity Identity     // read only when ID is set
	Issued   time.Time    // t0
	Lifetime time.Duration
}

// Renew is revision n+1: the grant's tokens, and the old values for whatever
// the OP left out (RFC 6749 section 6: a refresh answer may omit the refresh
// token; OIDC Core section 12.2: its ID Token may say less than that of the login).
// Claims are not kept: a group that is no longer named is one that the user has left.
// The absolute end stays.
func (s Session) Renew(g Grant, p Policy) Session {
	next := s
	next.Revision++
	next.Token.Access = g.Access
	next.Token.Issued = g.Issued
	next.Token.Lifetime = g.Lifetime
	if !g.Refresh.IsZero() {
		next.Token.Refresh = g.Refresh
	}
	if !g.ID.IsZero() {
		next.Token.ID = g.ID
		next.Identity = g.Identity
		if next.Identity.AuthTime.IsZero() { // a refresh is not an authentication: the time of the real one stays
			next.Identity.AuthTime = s.Identity.AuthTime
		}
		next.Identity.SID = cmp.Or(next.Identity.SID, s.Identity.SID)
		next.Identity.Email = cmp.Or(next.Identity.Email, s.Identity.Email)
		next.Identity.Name = cmp.Or(next.Identity.Name, s.Identity.Name)
	}
	next.SweepAt = p.SweepAt(next)
	return next
}
