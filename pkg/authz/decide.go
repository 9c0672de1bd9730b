package authz

import (
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// kind is what becomes of a request.
type kind string

// The kinds; their text is the value of the metric label "decision".
const (
	allow       kind = "allow"       // with a session's headers
	anonymous   kind = "anonymous"   // without identity
	login       kind = "login"       // a navigation goes to the OP
	noSession   kind = "no_session"  // 401
	crossSite   kind = "cross_site"  // 403
	unavailable kind = "unavailable" // 503 + Retry-After
	relying     kind = "relying"     // the relying party answers
	malformed   kind = "malformed"   // 400
)

// decision is the answer before it has a form.
type decision struct {
	kind       kind
	view       *session.View // with allow
	retryAfter time.Duration // with unavailable
	keepBearer bool          // with anonymous: the client's own
}

const minRetryAfter = time.Second

// without is the decision for a request that has no usable session.
func without(r request, rule Rule) decision {
	switch {
	case rule.Bearer == BearerPass && r.authorization != "" && !r.manyCredentials:
		return decision{kind: anonymous, keepBearer: true}
	case rule.NoSession:
		return decision{kind: anonymous}
	case r.navigation():
		return decision{kind: login}
	default:
		return decision{kind: noSession}
	}
}

// failed is the decision when a session has no token that could be served: v is
// past its expiry, or could not be read at all (nil).
func failed(r request, rule Rule, v *session.View, err error, now time.Time) decision {
	if v != nil && now.Before(v.Window.Exp) && !errors.Is(err, session.ErrEnded) {
		return decision{kind: allow, view: v} // a token that lives beats any 503
	}
	if errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrNotFound) {
		return without(r, rule)
	}
	d := decision{kind: unavailable, retryAfter: minRetryAfter}
	if f, ok := errors.AsType[*session.RefreshError](err); ok {
		if f.Class == session.Refused || f.Class == session.Dead || f.Class == session.Foreign {
			return without(r, rule) // another try will not help, a login may
		}
		d.retryAfter = max(minRetryAfter, f.RetryAt.Sub(now))
	}
	return d
}

// step is what a session's token needs before it can be served.
type step uint8

const (
	serve      step = iota
	background      // serve, and start a refresh
	wait            // a refresh comes first
	tooEarly        // expired, and the next attempt is not due yet
	over            // expired, and nothing can refresh it
)

// nextStep is pure: freshness, back-off and policy → step.
func nextStep(v *session.View, now time.Time, waitOnDue bool) step {
	freshness := v.Window.Freshness(now)
	backedOff := now.Before(v.NotBefore)
	switch {
	case freshness == session.Fresh:
		return serve
	case v.Session.Token.Refresh.IsZero():
		return over
	case freshness == session.Due && backedOff:
		return serve
	case freshness == session.Due && !waitOnDue:
		return background
	case backedOff:
		return tooEarly
	default:
		return wait
	}
}

// waitBudget is how long a Check may wait: less than Envoy's own deadline, past
// which the client would get an empty 503.
func waitBudget(maxWait time.Duration, now, deadline time.Time, hasDeadline bool) time.Duration {
	if !hasDeadline {
		return maxWait
	}
	left := deadline.Sub(now)
	return max(0, min(maxWait, left-max(25*time.Millisecond, left/10)))
}
