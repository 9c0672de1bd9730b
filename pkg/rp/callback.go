package rp

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/lamplighter/lamplighter/pkg/cookie"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// callback takes the browser back from the OP (OIDC Core section 3.1.2.5).
func (p *RP) callback(w http.ResponseWriter, r *http.Request) {
	q, now := r.URL.Query(), time.Now()
	a, ok := p.recall(r, q.Get("state"), now)
	if !ok || repeated(q) {
		p.show(w, p.unknownAttempt())
		return
	}
	op := p.found.Load()
	if op == nil {
		p.show(w, p.reload())
		return
	}
	code := session.NewSecret(q.Get("code"))
	switch iss := q.Get("iss"); {
	case iss != "" && iss != p.opts.Issuer, iss == "" && op.saysIssuer && !code.IsZero():
		p.opts.Log.Warn("callback refused: its iss is not the provider's (RFC 9207)")
		p.show(w, p.notAccepted(a.returnTo))
	case q.Get("error") != "":
		p.declined(w, a, printable(q.Get("error")))
	case code.IsZero():
		p.show(w, p.notAccepted(a.returnTo))
	default:
		p.complete(w, r, op, a, code)
	}
}

// complete lets the one exchange of this state run and answers with what came
// of it: to its first caller, and to everybody who repeats the callback while it
// runs. Each of them has shown the attempt's cookie.
func (p *RP) complete(w http.ResponseWriter, r *http.Request, op *provider, a attempt, code session.Secret) {
	x, first := p.exchanges.join(digestOf(a.state), digestOf(code), time.Now())
	if x == nil {
		p.show(w, p.usedUp(a.returnTo))
		return
	}
	if first {
		ctx := context.WithoutCancel(r.Context())
		p.running.Go(func() { p.drop(ctx, p.exchange(ctx, op, a, code, x)) })
	}
	switch {
	case !x.wait(r.Context()):
		p.show(w, p.reload())
	case x.failed != nil:
		p.show(w, *x.failed)
	default:
		p.welcome(w, r, a, x.handle)
	}
}

func (p *RP) welcome(w http.ResponseWriter, r *http.Request, a attempt, h session.Handle) {
	http.SetCookie(w, cookie.Session(p.opts.CookieName, h.Reveal(), p.opts.Absolute, p.opts.CookieDomain))
	http.SetCookie(w, cookie.Expire(a.cookieName(), ""))
	if p.countLogin(w, r, a.began, time.Now()) >= loopLogins {
		p.opts.Log.Warn("a browser logged in again and again within a minute: is the store shared by all replicas, does the browser keep the session cookie?", "logins", loopLogins)
		p.show(w, p.looping(a.returnTo))
		return
	}
	redirect(w, http.StatusSeeOther, a.returnTo)
}

// declined is the OP's error answer (RFC 6749 section 4.1.2.1). The attempt is
// over, unless the OP only asks to come back.
func (p *RP) declined(w http.ResponseWriter, a attempt, code string) {
	p.opts.Log.Warn("provider refused a login", "code", code)
	switch code {
	case "server_error", "temporarily_unavailable":
		p.show(w, p.unreachable(a.returnTo))
	default:
		http.SetCookie(w, cookie.Expire(a.cookieName(), ""))
		p.show(w, p.noSignIn(a.returnTo, code))
	}
}

// repeated: a parameter twice, which no OP sends (RFC 6749 section 3.1) and of
// which two readers may see different values.
func repeated(q url.Values) bool {
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(q[name]) > 1 {
			return true
		}
	}
	return false
}
