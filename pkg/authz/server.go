package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// Server implements envoy.service.auth.v3.Authorization. It is safe for
// concurrent use and immutable.
type Server struct {
	opts    Options
	origin  string // of ExternalURL, as browsers write it in Origin
	guarded map[string]struct{}
	always  []string // guarded names, to be removed whether or not Envoy showed them
	metrics *metrics
}

// New checks the options.
func New(o Options) (*Server, error) {
	if !strings.HasPrefix(o.PathPrefix, "/") || !strings.HasSuffix(o.PathPrefix, "/") {
		return nil, fmt.Errorf("set up checks: path prefix %q must begin and end with /", o.PathPrefix)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		opts: o, origin: o.ExternalURL.Scheme + "://" + o.ExternalURL.Host,
		guarded: make(map[string]struct{}), metrics: newMetrics(o.Registerer),
	}
	for name := range o.Identity.names() {
		s.guarded[fold(name)] = struct{}{}
		s.always = append(s.always, strings.ToLower(name))
	}
	s.guarded[authorization] = struct{}{}
	return s, nil
}

// Check answers Envoy; its error is always nil.
func (s *Server) Check(ctx context.Context, check *authv3.CheckRequest) (answer *authv3.CheckResponse, _ error) {
	started := time.Now()
	d := decision{kind: unavailable, retryAfter: minRetryAfter}
	var r request
	defer func() {
		if recover() != nil {
			s.opts.Log.Error("check panicked", "stack", string(debug.Stack()))
			d = decision{kind: unavailable, retryAfter: minRetryAfter}
			answer = s.denied(r, d)
		}
		s.metrics.checks[d.kind].Observe(time.Since(started).Seconds())
	}()
	r, err := s.read(check)
	if err != nil {
		d = decision{kind: malformed}
		return s.denied(r, d), nil
	}
	d = s.decide(ctx, r)
	switch d.kind {
	case allow, anonymous:
		return s.ok(r, d), nil
	case relying:
		return s.relying(ctx, r, r.method, r.target), nil
	case login:
		return s.relying(ctx, r, "GET", s.loginTarget(r)), nil
	default:
		return s.denied(r, d), nil
	}
}

func (s *Server) decide(ctx context.Context, r request) decision {
	if strings.HasPrefix(r.path, s.opts.PathPrefix) {
		return decision{kind: relying}
	}
	rule := s.rule(r.path)
	handle, ok := s.handle(r)
	switch {
	case r.preflight:
		return decision{kind: anonymous} // browsers send no cookies with it
	case rule.Bearer == BearerReject && r.authorization != "":
		return decision{kind: noSession}
	case rule.NoSession || !ok:
		return without(r, rule)
	case r.forgeable(s.origin):
		return decision{kind: crossSite}
	}
	v, err := s.opts.Sessions.Get(ctx, handle.ID())
	now := s.opts.Now()
	if err != nil {
		return failed(r, rule, nil, err, now)
	}
	d := s.withSession(ctx, r, rule, v, now)
	if d.kind != allow {
		return d
	}
	s.metrics.toExpiry.Observe(d.view.Window.Exp.Sub(now).Seconds())
	if err := s.opts.Activity.Use(ctx, d.view, now); err != nil {
		return failed(r, rule, nil, err, now)
	}
	return d
}

// withSession sees to the token.
func (s *Server) withSession(ctx context.Context, r request, rule Rule, v *session.View, now time.Time) decision {
	switch nextStep(v, now, s.opts.WaitOnDue) {
	case serve:
		return decision{kind: allow, view: v}
	case background:
		s.opts.Refresher.Start(v)
		return decision{kind: allow, view: v}
	case over:
		return failed(r, rule, v, session.ErrNotFound, now)
	case tooEarly:
		return failed(r, rule, v, &session.RefreshError{Class: v.LastClass, RetryAt: v.NotBefore}, now)
	}
	deadline, has := ctx.Deadline()
	waiting, cancel := context.WithTimeout(ctx, waitBudget(s.opts.MaxWait, now, deadline, has))
	defer cancel()
	fresh, err := s.opts.Refresher.Wait(waiting, v)
	if err == nil {
		return decision{kind: allow, view: fresh}
	}
	return failed(r, rule, v, err, s.opts.Now())
}

// handle is the session handle of the request. Two different ones are none: one
// of them was planted.
func (s *Server) handle(r request) (found session.Handle, ok bool) {
	if !r.hasCookie {
		return found, false
	}
	for value := range r.cookies.Find(s.opts.CookieName) {
		h, err := session.ParseHandle(value)
		if errors.Is(err, session.ErrBadHandle) {
			continue
		}
		if ok && h != found {
			return session.Handle{}, false
		}
		found, ok = h, true
	}
	return found, ok
}
