package session

import (
	"maps"
	"math"
	"time"
)

// Replay is what to do about a refresh whose answer never arrived: its token may
// be spent, and at many OPs a spent one that comes back ends the whole grant.
type Replay string

// The replay policies.
const (
	ReplayLate  Replay = "late"  // once when half of the time left is over, and again only past expiry: until then nothing is lost by waiting
	ReplayNow   Replay = "now"   // after half a second, where the OP takes a spent token again or lets the old access token die
	ReplayNever Replay = "never" // not at all; the session ends when its access token does
)

// Forever is the Grace of an OP that does not spend refresh tokens.
const Forever time.Duration = math.MaxInt64

// Profile is how one kind of OP differs from what RFC 6749 lets one expect, on
// five axes. A value from ProfileNamed is the caller's own.
type Profile struct {
	Name string
	// Codes and Statuses say what an answer means: a token endpoint's error code
	// (RFC 6749 section 5.2), or the HTTP status of an answer without a known code.
	// Codes decide first; what is in neither is read as in the relying party's table.
	Codes    map[string]Class
	Statuses map[int]Class
	// Grace is how long a spent refresh token is still taken, 0 for not at all.
	Grace time.Duration
	// EndsAccess: the old access token dies when the new one is issued. A request
	// then waits for a refresh under way, however fresh its token looks.
	EndsAccess bool
	Replay     Replay
	// SharedGrant: all sessions of one user at one client stand on one grant, so
	// that revoking one session's token would end the others'.
	SharedGrant bool
}

// usualCodes, of RFC 6749 sections 5.2 and 4.1.2.1 and RFC 8628 section 3.5, are what every
// profile reads alike unless it says otherwise.
func usualCodes() map[string]Class {
	return map[string]Class{
		"invalid_grant":           Dead,
		"invalid_client":          Misconfigured,
		"unauthorized_client":     Misconfigured,
		"temporarily_unavailable": Transient,
		"slow_down":               Transient,
	}
}

func usualStatuses() map[int]Class {
	return map[int]Class{401: Misconfigured, 429: Transient, 503: Transient}
}

// Profiles lists the presets, generic first.
func Profiles() []Profile {
	presets := []Profile{
		{Name: "generic", Replay: ReplayLate},
		// Rotation is off by default, and strict once a realm turns it on.
		{Name: "keycloak", Replay: ReplayLate},
		// It never revokes a used refresh token. What needs the user to act (a second factor,
		// consent) has no other remedy than a login.
		{
			Name: "entra", Replay: ReplayNow, Grace: Forever,
			Codes: map[string]Class{"interaction_required": Dead, "consent_required": Dead, "login_required": Dead},
		},
		{Name: "okta", Replay: ReplayNow, Grace: 30 * time.Second},
		// Reuse ends the family, and a proxy's 503 does not tell whether the token was spent.
		{Name: "auth0", Replay: ReplayLate, Statuses: map[int]Class{503: Unknown}},
		{Name: "google", Replay: ReplayNow, Grace: Forever, SharedGrant: true},
		{Name: "cognito", Replay: ReplayNow, Grace: time.Minute},
		// Of refreshes at the same instant all but one are told invalid_request, 401 or 500: try again.
		{
			Name: "hydra", Replay: ReplayNow, EndsAccess: true,
			Codes:    map[string]Class{"invalid_request": Transient},
			Statuses: map[int]Class{401: Transient},
		},
		{
			Name: "dex", Replay: ReplayNow, Grace: 3 * time.Second, SharedGrant: true,
			Codes: map[string]Class{"invalid_request": Dead},
		},
		{
			Name: "zitadel", Replay: ReplayNow, EndsAccess: true,
			Codes: map[string]Class{"invalid_request": Dead},
		},
		{Name: "oidc-provider", Replay: ReplayLate, Statuses: map[int]Class{503: Unknown}},
	}
	for i := range presets {
		codes, statuses := usualCodes(), usualStatuses()
		maps.Copy(codes, presets[i].Codes)
		maps.Copy(statuses, presets[i].Statuses)
		presets[i].Codes, presets[i].Statuses = codes, statuses
	}
	return presets
}

// ProfileNamed returns the preset of that name.
func ProfileNamed(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}
