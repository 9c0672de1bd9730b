package rp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// refreshKeysWait bounds the fetch of signing keys between the arrival of new
// tokens and their commit.
const refreshKeysWait = 2 * time.Second

// reply is what one POST came to, before any meaning.
type reply struct {
	sent   bool      // false: certainly no byte of it was written
	issued time.Time // t0, before the first byte was written
	status int       // 0: no answer
	body   []byte
	whole  bool  // body arrived to its end, within the cap
	err    error // why status is 0 or whole is false

	retryAfter time.Duration // that the OP asks for; 0: it does not
}

// Refresh makes one refresh request (RFC 6749 section 6) for s and classifies
// the answer. It never makes a second one and keeps to ctx's deadline.
func (p *RP) Refresh(ctx context.Context, s session.Session) session.Answer {
	op := p.found.Load()
	if op == nil {
		return session.Answer{Class: session.Transient, Err: errNotReady}
	}
	if s.Provider != p.opts.Issuer { // the configuration changed: not the token's provider any more
		return session.Answer{Class: session.Refused, Err: errors.New("session was begun at another provider")}
	}
	r := p.post(ctx, op.endpoint.TokenURL, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {s.Token.Refresh.Reveal()},
	})
	v := classify(p.opts.Profile, r, expected{issuer: s.Provider, clientID: p.opts.ClientID, subject: s.Identity.Subject})
	p.learn(v)
	if v.class != session.Renewed {
		return session.Answer{Class: v.class, Sent: r.sent, RetryAfter: r.retryAfter, Err: v.problem(r)}
	}
	g := session.Grant{Access: v.tokens.access, Refresh: v.tokens.refresh, Issued: r.issued, Lifetime: v.tokens.life}
	if !v.tokens.id.IsZero() {
		ctx, cancel := context.WithTimeout(ctx, refreshKeysWait)
		defer cancel()
		identity, err := p.verify(ctx, op, v.tokens, login{})
		if err != nil {
			p.opts.Log.Warn("id_token of a refresh cannot be verified, the session keeps its claims", "session", s.ID, "error", err)
		} else {
			g.ID, g.Identity = v.tokens.id, identity
		}
	}
	return session.Answer{Class: session.Renewed, Grant: g, Sent: true}
}

// Revoke tells the OP that s's refresh token will not be used again (RFC 7009). It is
// nil when there is nobody to tell: the OP has no revocation endpoint, or s was begun at
// another one, whose token this one must not see.
func (p *RP) Revoke(ctx context.Context, s session.Session) error {
	if s.Provider != p.opts.Issuer {
		return nil
	}
	return p.revoke(ctx, s.Token.Refresh)
}

func (p *RP) revoke(ctx context.Context, t session.RefreshToken) error {
	op := p.found.Load()
	switch {
	case op == nil:
		return fmt.Errorf("revoke refresh token: %w", errNotReady)
	case op.revocation == "":
		return nil
	}
	r := p.post(ctx, op.revocation, url.Values{"token": {t.Reveal()}, "token_type_hint": {"refresh_token"}})
	switch {
	case r.status == http.StatusOK:
		return nil
	case r.status == http.StatusUnauthorized:
		p.secret.distrust()
	case r.status == 0:
		return fmt.Errorf("revoke refresh token: %w", r.err)
	}
	return fmt.Errorf("revoke refresh token: provider answered %d", r.status)
}

// learn takes note of what an answer says beyond the one session.
func (p *RP) learn(v verdict) {
	if v.class == session.Misconfigured {
		p.secret.distrust()
	}
	if v.class == session.Renewed && !v.tokens.lifeKnown {
		p.noLifetime.Do(func() {
			p.opts.Log.Warn("token endpoint gives no usable expires_in, tokens are taken to live for the default", "default", session.DefaultLifetime)
		})
	}
}

// post sends one form to an endpoint of the OP, with client authentication.
func (p *RP) post(ctx context.Context, endpoint string, form url.Values) reply {
	req, err := p.request(endpoint, form)
	if err != nil {
		return reply{err: err}
	}
	if err := ctx.Err(); err != nil {
		return reply{err: err}
	}
	t := trace{now: p.opts.Now, start: p.opts.Now()}
	resp, err := p.client.Do(req.WithContext(httptrace.WithClientTrace(ctx, t.hooks())))
	sent, issued := t.result(err)
	if err != nil {
		return reply{sent: sent, issued: issued, err: describe(err, sent)}
	}
	defer resp.Body.Close()
	r := reply{sent: true, issued: issued, status: resp.StatusCode, retryAfter: retryAfterOf(resp.StatusCode, resp.Header, time.Now())}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		r.err = describe(err, true)
	case len(r.body) > maxBody:
		r.err = errors.New("answer is too long")
	default:
		r.whole = true
	}
	return r
}

func (p *RP) request(endpoint string, form url.Values) (*http.Request, error) {
	id, secret := p.opts.ClientID, p.secret.get(p.opts.Log).Reveal()
	switch p.opts.AuthStyle {
	case AuthPost:
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	case AuthPublic:
		form.Set("client_id", id)
	}
	req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("endpoint is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if p.opts.AuthStyle == AuthBasic { // form-encoded first: RFC 6749 section 2.3.1
		req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	return req, nil
}
