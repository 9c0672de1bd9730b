package authz

import (
	"errors"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// verdict is what becomes of a request.
type verdict uint8

// The verdicts. The zero value is a denial, and only allow and anonymous are not.
const (
	broken      verdict = iota // 503: a defect of ours
	allow                      // with a session's headers
	anonymous                  // without identity
	own                        // the relying party answers its own paths
	login                      // a navigation goes to the OP
	noSession                  // 401
	noBearer                   // 401: the path takes no client's authorization
	twoBearers                 // 400
	malformed                  // 400
	crossSite                  // 403
	unavailable                // 503 + Retry-After
	verdicts                   // how many
)

// String is the value of the metric label "decision".
func (v verdict) String() string {
	return [verdicts]string{
		"broken", "allow", "anonymous", "own", "login", "no_session", "no_bearer", "two_bearers", "malformed", "cross_site", "unavailable",
	}[v]
}

// decision is the answer before it has a form.
type decision struct {
	verdict    verdict
	headers    *prepared     // with allow
	left       time.Duration // with allow: until the token expires
	keepBearer bool          // with anonymous: the client's own
	retryAfter time.Duration // with unavailable
}

// serveAt decides to serve v's token.
func serveAt(v *session.View, now time.Time) decision {
	p, ok := v.Headers.(*prepared)
	if !ok || len(p.set) == 0 {
		return decision{verdict: broken}
	}
	return decision{verdict: allow, headers: p, left: v.Window.Exp.Sub(now)}
}

// retryAfter is what a 503 asks for when nobody knows better.
const (
	minRetryAfter = time.Second
	retryAfter    = 2 * time.Second
)

// settings are what decisions know of the configuration.
type settings struct {
	prefix    string // of the relying party's own paths
	origin    string
	waitOnDue bool
}

// decideAlone decides what needs no session. If ok is false, the session of the
// request's handle must be looked up.
func decideAlone(r *request, rule Rule, hasHandle bool, set *settings) (d decision, ok bool) {
	switch {
	case strings.HasPrefix(r.path, set.prefix):
		return decision{verdict: own}, true
	case r.preflight():
		return decision{verdict: anonymous}, true
	case r.authorized && rule.Bearer == BearerReject:
		return decision{verdict: noBearer}, true
	case r.authorized && rule.Bearer == BearerPass && r.credential() == manifold:
		return decision{verdict: twoBearers}, true
	case rule.NoSession || !hasHandle:
		return decideWithout(r, rule), true
	case r.forgeable(set.origin):
		return decision{verdict: crossSite}, true
	}
	return decision{}, false
}

// decideWithout decides for a request that has no session.
func decideWithout(r *request, rule Rule) decision {
	switch {
	case r.authorized && rule.Bearer == BearerPass && r.credential() == bearer:
		return decision{verdict: anonymous, keepBearer: true}
	case rule.NoSession:
		return decision{verdict: anonymous}
	case r.navigation():
		return decision{verdict: login}
	default:
		return decision{verdict: noSession}
	}
}

// step is what a session's token needs before it can be served.
type step uint8

const (
	serve  step = iota
	kick        // serve, and see to a refresh
	wait        // a refresh comes first
	giveUp      // past its expiry, and a refresh is pointless now
)

// nextStep is what to do about v's token at now.
func nextStep(v *session.View, now time.Time, waitOnDue bool) step {
	freshness, alive := v.Window.Freshness(now), now.Before(v.Window.Exp)
	switch {
	case v.Renewing:
		return wait
	case freshness == session.Fresh:
		return serve
	case v.Session.Token.Refresh.IsZero() || now.Before(v.NotBefore):
		if alive {
			return serve
		}
		return giveUp
	case freshness == session.Due && !waitOnDue:
		return kick
	default:
		return wait
	}
}

// decideGivenUp decides for a session whose token is past its expiry at now and
// cannot be refreshed now.
func decideGivenUp(r *request, rule Rule, v *session.View, now time.Time) decision {
	if v.Session.Token.Refresh.IsZero() || v.LastClass == session.Refused {
		return decideWithout(r, rule) // only a login helps
	}
	return later(v.NotBefore, now)
}

// decideFailed decides for a session that cannot be read or used because of err
// (v is nil), or whose token could not be refreshed because of err.
func decideFailed(r *request, rule Rule, v *session.View, err error, now time.Time) decision {
	if session.Gone(err) {
		return decideWithout(r, rule)
	}
	if v != nil && now.Before(v.Window.Exp) {
		return serveAt(v, now) // a token that lives beats any 503
	}
	failure, ok := errors.AsType[*session.RefreshError](err)
	if !ok {
		return decision{verdict: unavailable, retryAfter: retryAfter}
	}
	switch failure.Class {
	case session.Dead, session.Foreign, session.Refused:
		return decideWithout(r, rule) // another try will not help, a login may
	default:
		return later(failure.RetryAt, now)
	}
}

// later asks the client to come back at an instant, if it is known.
func later(at, now time.Time) decision {
	if at.IsZero() {
		return decision{verdict: unavailable, retryAfter: retryAfter}
	}
	return decision{verdict: unavailable, retryAfter: max(minRetryAfter, at.Sub(now))}
}

// budget is how long a Check may take that Envoy waits left for: less, since past
// that the client would get Envoy's own, empty 503.
func budget(left time.Duration) time.Duration {
	return max(0, left-max(25*time.Millisecond, left/10))
}
