package rp

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

const (
	exchangeTime = 10 * time.Second // from the POST to a durable session
	revokeTime   = 5 * time.Second
	usedTime     = attemptTime // afterwards the attempt's cookie is too old
)

// exchange is one code exchange. Its results may be read once done is closed.
type exchange struct {
	state, code digest

	done   chan struct{}
	sent   bool           // the code may be spent
	handle session.Handle // of the new session, unless
	failed *page
}

// wait reports whether x is done in time to answer: a caller whose deadline
// passes first would get its proxy's empty page.
func (x *exchange) wait(ctx context.Context) bool {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		margin := max(25*time.Millisecond, time.Until(end)/10)
		ctx, cancel = context.WithDeadline(ctx, end.Add(-margin))
		defer cancel()
	}
	select {
	case <-x.done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-x.done: // both at once
		return true
	default:
		return false
	}
}

// exchanges keeps a state from being exchanged twice, and a code from being
// sent twice: the running ones can be joined, the finished ones are remembered
// for as long as their cookie lives. An OP that sees a code again revokes its
// tokens (RFC 6749 section 4.1.2), so a replay must not even reach it. Across
// restarts the OP's own check is the guard.
type exchanges struct {
	mu      sync.Mutex
	running map[digest]*exchange // by state
	used    map[digest]struct{}  // states, and codes from their first sight on
	inOrder []spent              // of until
}

type digest [sha256.Size]byte

type spent struct {
	state, code digest
	until       time.Time
}

func digestOf(s session.Secret) digest { return sha256.Sum256([]byte(s.Reveal())) }

// join returns the exchange of a state, nil if the state or the code is used up.
// The first caller must run it.
func (e *exchanges) join(state, code digest, now time.Time) (x *exchange, first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.inOrder) > 0 && !now.Before(e.inOrder[0].until) {
		delete(e.used, e.inOrder[0].state)
		delete(e.used, e.inOrder[0].code)
		e.inOrder = e.inOrder[1:]
	}
	if x := e.running[state]; x != nil {
		return x, false
	}
	_, again := e.used[state]
	if _, taken := e.used[code]; again || taken {
		return nil, false
	}
	if e.running == nil {
		e.running, e.used = make(map[digest]*exchange), make(map[digest]struct{})
	}
	x = &exchange{state: state, code: code, done: make(chan struct{})}
	e.running[state], e.used[code] = x, struct{}{}
	return x, true
}

// finish releases everybody who waits for x. If its code was certainly not sent,
// state and code may be tried again.
func (e *exchanges) finish(x *exchange, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, x.state)
	if x.sent {
		e.used[x.state] = struct{}{}
		e.inOrder = append(e.inOrder, spent{x.state, x.code, now.Add(usedTime)})
	} else {
		delete(e.used, x.code)
	}
	close(x.done)
}

// exchange runs x: code → tokens → verified ID Token → durable session. It
// returns the refresh token that no session holds, if there is one.
func (p *RP) exchange(ctx context.Context, op *provider, a attempt, code session.Secret, x *exchange) (left session.RefreshToken) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			p.opts.Log.Error("panic in a code exchange", "stack", string(debug.Stack()))
			x.sent, x.failed = true, new(p.lost(a.returnTo))
		}
		p.exchanges.finish(x, time.Now())
	}()
	r := p.post(ctx, op.endpoint.TokenURL, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code.Reveal()},
		"redirect_uri":  {p.redirectURI()},
		"code_verifier": {a.verifier.Reveal()},
	})
	x.sent = r.sent
	v := classify(p.opts.Profile, r, expected{})
	p.learn(v)
	if v.class != session.Renewed {
		p.opts.Metrics.failed.WithLabelValues(v.class.String()).Inc()
		p.opts.Log.Warn("code exchange failed", "class", v.class.String(), "sent", r.sent, "error", v.problem(r))
		x.failed = new(p.exchangeFailed(v, a))
		return left
	}
	handle, err := p.begin(ctx, op, a, r, v.tokens)
	if err != nil {
		p.opts.Metrics.begun(err)
		p.opts.Log.Log(ctx, level(err), "login failed after the code exchange", "error", err)
		x.failed = new(p.lost(a.returnTo))
		return v.tokens.refresh
	}
	x.handle = handle
	return left
}

// begin makes a session of the tokens.
func (p *RP) begin(ctx context.Context, op *provider, a attempt, r reply, t tokens) (session.Handle, error) {
	who, err := p.verify(ctx, op, t, login{nonce: a.nonce, began: a.began})
	if err != nil {
		return session.Handle{}, err
	}
	h, now := session.NewHandle(), p.opts.Now().Round(0)
	s := session.Session{
		ID: h.ID(), Revision: 1, App: p.opts.App, Provider: p.opts.Issuer,
		Token:     session.Token{Access: t.access, Refresh: t.refresh, ID: t.id, Issued: r.issued, Lifetime: t.life},
		Identity:  who,
		CreatedAt: now,
		EndsAt:    now.Add(p.opts.Absolute),
	}
	s.SweepAt = p.opts.Policy.SweepAt(s)
	return h, p.opts.Sessions.Create(ctx, s)
}

// drop revokes a refresh token that no session holds, best effort. On a shared grant
// it stays: the user's sessions in other browsers would end with it, and which there
// are a store that has just failed does not tell.
func (p *RP) drop(ctx context.Context, t session.RefreshToken) {
	if t.IsZero() || p.opts.Profile.SharedGrant {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	if err := p.revoke(ctx, t); err != nil {
		p.opts.Log.Warn("refresh token of a failed login was not revoked", "error", err)
	}
}

// level: a store in trouble is noticed elsewhere, an ID Token that does not hold
// is not.
func level(err error) slog.Level {
	if errors.Is(err, session.ErrUnavailable) {
		return slog.LevelWarn
	}
	return slog.LevelError
}
