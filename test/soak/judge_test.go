//go:build soak

package soak

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// freshFor is how long a token is served for certain, by the provider's clock: it
// may have been asked for so much earlier than it was issued, and its answer may
// say shortLife. A second is left for queues.
const freshFor = shortLife - mostDelay - time.Second

// access is a token that the app has seen, and whose it is.
type access struct {
	op.Access
	token string
}

// moment is when requests begin.
type moment struct {
	begun time.Time
	least *access // the newest token that the user has been served by then
	posts int     // at the token endpoint until then
}

func (u *user) now() moment {
	return moment{time.Now(), u.newest.Load(), u.c.s.OP.Tally().Posts}
}

// judge says whether an answer to a request begun at m is one that may be, and
// returns its status.
func (u *user) judge(a stack.Answer, m moment) int {
	u.c.count("requests")
	switch a.Status {
	case http.StatusOK:
		u.served(a, m)
		return a.Status
	case http.StatusServiceUnavailable:
		u.unavailable(a, m)
	case http.StatusUnauthorized:
		u.c.count("401")
		if len(a.Header.Values("Set-Cookie")) > 0 {
			u.c.fault("a 401 with Set-Cookie %q", a.Header.Values("Set-Cookie"))
		}
	default:
		u.c.fault("answered %d: %.100s", a.Status, a.Body)
	}
	u.c.heard(a)
	return a.Status
}

// envoyWaits is the timeout of a Check in the shipped bootstrap, less a little.
const envoyWaits = 4900 * time.Millisecond

// unavailable: a 503 says when to come back, and is for sessions past expiry. The
// only one that Envoy makes itself is for a Check that took all of its time,
// which is a machine that cannot carry the load; it is counted apart.
func (u *user) unavailable(a stack.Answer, m moment) {
	if took := time.Since(m.begun); a.Body == "" && took >= envoyWaits {
		u.c.count("503 by Envoy's own timeout")
		return
	}
	u.c.count("503")
	if a.Header.Get("Retry-After") == "" || len(a.Header.Values("Set-Cookie")) > 0 {
		u.c.fault("a 503 with Retry-After %q, Set-Cookie %q: %.100s", a.Header.Get("Retry-After"), a.Header.Values("Set-Cookie"), a.Body)
	}
	if m.least != nil && m.begun.Sub(m.least.Issued) < freshFor {
		u.c.fault("a 503 though the token has lived for less than %v", freshFor)
	}
}

// served: the app saw this user, with a token of this login that is no older than
// one seen before, and alive.
func (u *user) served(a stack.Answer, m moment) {
	got, ok := u.identity(a)
	if !ok {
		return
	}
	if got.Family != u.family {
		u.c.fault("%s of %s was served a token of %s", u.name, u.family, got.Family)
	}
	if m.least != nil && got.Number < m.least.Number {
		u.c.fault("a token older than the one before was served")
	}
	if !m.begun.Before(got.Expires) {
		u.c.mu.Lock()
		u.c.stale = append(u.c.stale, stale{got.Family, got.Number})
		u.c.mu.Unlock()
	}
	for {
		newest := u.newest.Load()
		if newest != nil && newest.Number >= got.Number || u.newest.CompareAndSwap(newest, &got) {
			return
		}
	}
}

// identity is whose token the app saw; it must have been this user's.
func (u *user) identity(a stack.Answer) (access, bool) {
	var seen echo.Request
	if err := json.Unmarshal([]byte(a.Body), &seen); err != nil {
		u.c.fault("not the app's answer: %.100s", a.Body)
		return access{}, false
	}
	name, lines := seen.Headers["x-user-name"], seen.Headers["authorization"]
	if len(name) != 1 || name[0] != u.name {
		u.c.fault("%s was served as %q", u.name, name)
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "Bearer ") {
		u.c.fault("the app saw %d authorizations", len(lines))
		return access{}, false
	}
	token := strings.TrimPrefix(lines[0], "Bearer ")
	// The provider forgets what has been dead for a while; whether it may be served is for stale.
	if newest := u.newest.Load(); newest != nil && newest.token == token {
		return *newest, true
	}
	got, ok := u.c.s.OP.Access(token)
	if !ok {
		u.c.fault("the app saw a token that the provider does not know")
	}
	return access{got, token}, ok
}
