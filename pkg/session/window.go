package session

import (
	"encoding/binary"
	"math"
	"time"
)

// Freshness says what a request meets.
type Freshness uint8

// The three states of an access token. Due lasts at least half of A.
const (
	Fresh   Freshness = iota // serve
	Due                      // serve, and see to a refresh
	Expired                  // a refresh comes first; until Exp the token still beats a 503
)

func (f Freshness) String() string {
	switch f {
	case Fresh:
		return "fresh"
	case Due:
		return "due"
	default:
		return "expired"
	}
}

// MinSweptLifetime is the shortest access-token lifetime the sweep keeps
// fresh: below it a token is spent before a paced sweep can come round.
const MinSweptLifetime = 8 * time.Second

// Policy is the operator's part of the window formula.
type Policy struct {
	// Threshold is token_refresh_threshold: how long before expiry a token is
	// near expiry. A third of the lifetime bounds it, so that a short-lived
	// token is not due at birth.
	Threshold time.Duration
}

// Window is the life of one access token, cut where decisions change:
//
//	A = min(threshold, L/3)   m = min(5s, L/10, A/2)   S = min(10min, L/6)
//	Fresh: now < Exp−A        Due: now < Exp−m         Expired: after
//
// Due begins no earlier than two thirds of the life, so a success needs no
// cool-down of its own.
type Window struct {
	From      time.Time // t0
	DueAt     time.Time // Exp − A; Exp when there is no refresh token
	ExpiredAt time.Time // Exp − m; Exp when there is no refresh token
	Exp       time.Time
	Spread    time.Duration // S, over which the sweep spreads its starts
}

// Window cuts the life of s's access token. Without a refresh token nothing
// can be done before the end, so nothing is Due.
func (p Policy) Window(s Session) Window {
	life, exp := s.Token.Lifetime, s.Token.Exp()
	if s.Token.Refresh.IsZero() {
		return Window{From: s.Token.Issued, DueAt: exp, ExpiredAt: exp, Exp: exp}
	}
	a := min(p.Threshold, life/3)
	m := min(5*time.Second, life/10, a/2)
	return Window{
		From:      s.Token.Issued,
		DueAt:     exp.Add(-a),
		ExpiredAt: exp.Add(-m),
		Exp:       exp,
		Spread:    min(10*time.Minute, life/6),
	}
}

// clockSkew is how far the clocks of replicas may be apart.
const clockSkew = time.Minute

// Freshness at now. A token of the future was issued under a clock that has
// stepped back since: how much of its life is left, nobody knows.
func (w Window) Freshness(now time.Time) Freshness {
	switch {
	case now.Before(w.From.Add(-clockSkew)):
		return Expired
	case now.Before(w.DueAt):
		return Fresh
	case now.Before(w.ExpiredAt):
		return Due
	default:
		return Expired
	}
}

// SweepAt is when the sweep wants s: before it is Due, spread by a hash of id
// and revision so that sessions that logged in together do not refresh
// together for ever. Zero: never.
func (p Policy) SweepAt(s Session) time.Time {
	if s.Token.Refresh.IsZero() || s.Token.Lifetime < MinSweptLifetime {
		return time.Time{}
	}
	w := p.Window(s)
	return w.DueAt.Add(-time.Duration(spread(s.ID, s.Revision) * float64(w.Spread)))
}

// spread is uniform in [0,1). The id is a SHA-256, so its bits are good; the
// revision is mixed in by the finalizer of SplitMix64.
func spread(id ID, rev Revision) float64 {
	x := binary.LittleEndian.Uint64(id[:8]) + uint64(rev)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// Bounds of a lifetime as read from expires_in.
const (
	DefaultLifetime = 300 * time.Second // when the OP does not say (RFC 6749 section 5.1 only recommends it)
	MaxLifetime     = 24 * time.Hour
)

// Lifetime makes a duration of an expires_in in seconds: fractions are cut off
// and more than a day is a day. ok is false for what cannot be a lifetime
// (zero, negative, not a number); the caller then falls back.
func Lifetime(seconds float64) (life time.Duration, ok bool) {
	if math.IsNaN(seconds) || seconds < 1 {
		return 0, false
	}
	if seconds >= MaxLifetime.Seconds() {
		return MaxLifetime, true
	}
	return time.Duration(math.Floor(seconds)) * time.Second, true
}

// Later returns the later of two instants.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
