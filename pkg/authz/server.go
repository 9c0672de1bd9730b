package authz

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// Server implements envoy.service.auth.v3.Authorization. It is safe for
// concurrent use.
type Server struct {
	opts         Options
	settings     settings
	rules        rules
	guard        *guard
	everything   removal // authorization and the identity headers
	identityOnly removal
	cut          sync.Once    // tells that Envoy's timeout cuts waits short
	troubled     atomic.Int64 // when a session could last not be read or used
}

// New checks the options.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("set up checks: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := newGuard(o.Encoder.identity)
	return &Server{
		opts:         o,
		settings:     settings{prefix: o.PathPrefix, origin: o.ExternalURL.Scheme + "://" + o.ExternalURL.Host, waitOnDue: o.WaitOnDue},
		rules:        newRules(o.Rules),
		guard:        g,
		everything:   newRemoval(g.names),
		identityOnly: newRemoval(g.names[1:]),
	}, nil
}

// Check answers Envoy; its error is always nil.
func (s *Server) Check(ctx context.Context, check *authv3.CheckRequest) (answer *authv3.CheckResponse, _ error) {
	started := time.Now()
	var r request
	var d decision
	defer func() {
		if defect := recover(); defect != nil {
			d = decision{}
			answer = s.defective(defect)
		}
		s.opts.Metrics.checks[d.verdict].Observe(time.Since(started).Seconds())
	}()
	var err error
	if r, err = read(check, s.guard); err != nil {
		d = decision{verdict: malformed}
		return s.denied(&r, d), nil
	}
	d = s.decide(ctx, &r)
	switch d.verdict {
	case allow, anonymous:
		return s.ok(&r, d), nil
	case own:
		return s.relying(ctx, &r), nil
	case login:
		return s.login(ctx, &r), nil
	default:
		return s.denied(&r, d), nil
	}
}

// defective answers for a Check that panicked. The panic's value is logged only
// when the runtime made it: any other may hold anything.
func (s *Server) defective(defect any) *authv3.CheckResponse {
	s.opts.Metrics.panics.Inc()
	cause, _ := defect.(runtime.Error)
	s.opts.Log.Error("check panicked", "cause", cause, "type", fmt.Sprintf("%T", defect), "stack", string(debug.Stack()))
	return s.denied(&request{}, decision{})
}

func (s *Server) decide(ctx context.Context, r *request) decision {
	rule := s.rules.of(r.path)
	handle, ok := s.handle(r)
	if d, done := decideAlone(r, rule, ok, &s.settings); done {
		return d
	}
	v, now, err := s.use(ctx, handle.ID())
	if err != nil {
		return decideFailed(r, rule, nil, err, now)
	}
	d := s.withToken(ctx, r, rule, v, now)
	switch d.verdict {
	case allow:
		s.opts.Metrics.toExpiry.Observe(d.left.Seconds())
	case broken:
		s.opts.Log.Error("session has no access token that a header can carry", "session", v.Session.ID)
	}
	return d
}

// use finds the session and records its use, before anything is done for it: a
// session whose time is up must not be refreshed.
func (s *Server) use(ctx context.Context, id session.ID) (*session.View, time.Time, error) {
	v, err := s.opts.Sessions.Get(ctx, id)
	now := s.opts.Now()
	if err == nil {
		v = s.own(v)
		err = s.opts.Activity.Use(ctx, v, now)
	}
	if err != nil && !session.Gone(err) && s.quiet(now) {
		s.opts.Log.Warn("session cannot be read or used, and perhaps others", "session", id, "error", err)
	}
	return v, now, err
}

// quietFor is how long sessions must have been well for the next trouble to be told
// of: one line, and not one a request.
const quietFor = 10 * time.Second

// quiet notes trouble at now, and tells whether there was none for a while.
func (s *Server) quiet(now time.Time) bool {
	return now.UnixNano()-s.troubled.Swap(now.UnixNano()) > int64(quietFor)
}

// own is v with the headers of this Server's settings. Another's would let pass what a
// client supplies: they neither set nor remove a header that only this one sends. Such
// a v comes of a flight or a memory that outlives a change of the settings.
func (s *Server) own(v *session.View) *session.View {
	p, ok := v.Headers.(*prepared)
	if !ok || p.by == s.opts.Encoder {
		return v
	}
	mine := *v
	mine.Headers, _ = s.opts.Encoder.Encode(v.Session)
	return &mine
}

// withToken sees to the session's token.
func (s *Server) withToken(ctx context.Context, r *request, rule Rule, v *session.View, now time.Time) decision {
	switch nextStep(v, now, s.settings.waitOnDue) {
	case kick:
		s.opts.Refresher.Start(v)
		fallthrough
	case serve:
		return serveAt(v, now)
	case giveUp:
		return decideGivenUp(r, rule, v, now)
	}
	s.tellCut(ctx)
	ctx, cancel := inTime(ctx, s.opts.MaxWait)
	defer cancel()
	renewed, err := s.opts.Refresher.Wait(ctx, v)
	now = s.opts.Now()
	if err != nil {
		return decideFailed(r, rule, v, err, now)
	}
	return serveAt(s.own(renewed), now) // whatever its freshness: there is none newer
}

// inTime ends ctx after at most the given time, and before Envoy gives up.
func inTime(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, budget(time.Until(deadline)))
	}
	return context.WithTimeout(ctx, most)
}

// tellCut says once that Envoy's timeout cuts waits short.
func (s *Server) tellCut(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	if !ok || budget(time.Until(deadline)) >= s.opts.MaxWait {
		return
	}
	s.cut.Do(func() {
		s.opts.Log.Warn("Envoy's timeout for a Check is too short for refresh.max_wait, requests that wait for a refresh are answered earlier",
			"check_time_left", time.Until(deadline), "max_wait", s.opts.MaxWait)
	})
}

// handle is the session handle of the request. Two different ones are none: one
// of them was planted.
func (s *Server) handle(r *request) (found session.Handle, ok bool) {
	for value := range r.cookies.Find(s.opts.CookieName) {
		h, err := session.ParseHandle(value)
		if err != nil {
			continue
		}
		if ok && !h.Equal(found) {
			return session.Handle{}, false
		}
		found, ok = h, true
	}
	return found, ok
}
