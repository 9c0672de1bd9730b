package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// canary is in every secret and personal string of these tests: no log line and
// no metric may hold it.
const canary = "canary"

// provider is a strict OpenID Provider's token endpoint: a refresh token works
// once, and using a spent one revokes its whole family, the successor included.
// It keeps its own ledger; tests assert on that, not on our counters.
type provider struct {
	mu       sync.Mutex
	tokens   map[string]generation
	revoked  map[int]bool // families
	families int
	posts    []post
	consumed map[generation]int
	reuses   int
	now      int // POSTs being handled
	most     int // and the most there ever were
	step     step
}

// generation is one refresh token of one login.
type generation struct{ family, n int }

// post is one line of the ledger.
type post struct {
	at  time.Time
	id  session.ID
	rev session.Revision
	gen generation
}

// step decides about one POST: take spends the token and is the honest answer.
type step func(ctx context.Context, take func() session.Answer) session.Answer

func newProvider() *provider {
	return &provider{tokens: make(map[string]generation), revoked: make(map[int]bool), consumed: make(map[generation]int)}
}

// does makes every later POST go by s.
func (p *provider) does(s step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step = s
}

// issue starts a family and returns its first tokens.
func (p *provider) issue(life time.Duration) session.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.families++
	return p.tokenLocked(generation{family: p.families, n: 1}, time.Now(), life)
}

func (p *provider) tokenLocked(g generation, issued time.Time, life time.Duration) session.Token {
	refresh := fmt.Sprintf("%s-refresh-%d-%d", canary, g.family, g.n)
	p.tokens[refresh] = g
	return session.Token{
		Access:  session.AccessToken{Secret: session.NewSecret(fmt.Sprintf("%s-access-%d-%d", canary, g.family, g.n))},
		Refresh: session.RefreshToken{Secret: session.NewSecret(refresh)},
		Issued:  issued, Lifetime: life,
	}
}

// Refresh implements refresh.TokenEndpoint.
func (p *provider) Refresh(ctx context.Context, s session.Session) session.Answer {
	t0 := time.Now()
	p.mu.Lock()
	gen := p.tokens[s.Token.Refresh.Reveal()]
	p.posts = append(p.posts, post{at: t0, id: s.ID, rev: s.Revision, gen: gen})
	p.now++
	p.most = max(p.most, p.now)
	step := p.step
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.now--; p.mu.Unlock() }()
	take := func() session.Answer { return p.take(gen, t0, s.Token.Lifetime) }
	if step == nil {
		return take()
	}
	return step(ctx, take)
}

func (p *provider) take(g generation, t0 time.Time, life time.Duration) session.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g == (generation{}) || p.revoked[g.family] {
		return session.Answer{Class: session.Dead, Sent: true, Err: errors.New("invalid_grant")}
	}
	if p.consumed[g] > 0 {
		p.reuses++
		p.revoked[g.family] = true
		return session.Answer{Class: session.Dead, Sent: true, Err: errors.New("invalid_grant: reuse")}
	}
	p.consumed[g]++
	next := p.tokenLocked(generation{family: g.family, n: g.n + 1}, t0, life)
	return session.Answer{Class: session.Renewed, Sent: true, Grant: session.Grant{
		Access: next.Access, Refresh: next.Refresh, Issued: t0, Lifetime: life,
	}}
}

// ledger returns a copy of what was received.
func (p *provider) ledger() []post {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]post(nil), p.posts...)
}

func (p *provider) reused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reuses
}

// mostAtOnce is the most POSTs that were ever handled at the same time.
func (p *provider) mostAtOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

var errCut = errors.New("connection was cut")

// honest is the answer of a provider without fault.
func honest(_ context.Context, take func() session.Answer) session.Answer { return take() }

// refuses answers with a class and leaves the token unspent.
func refuses(c session.Class) step {
	return func(context.Context, func() session.Answer) session.Answer {
		return session.Answer{Class: c, Sent: true, Err: errors.New("the provider's words")}
	}
}

// unreachable: nothing was written.
func unreachable(context.Context, func() session.Answer) session.Answer {
	return session.Answer{Class: session.Transient, Err: errCut}
}

// drops loses the request behind the write and before the provider's work.
func drops(context.Context, func() session.Answer) session.Answer {
	return session.Answer{Class: session.Unknown, Sent: true, Err: errCut}
}

// loses spends the token and loses the answer.
func loses(_ context.Context, take func() session.Answer) session.Answer {
	take()
	return session.Answer{Class: session.Unknown, Sent: true, Err: errCut}
}

// slow waits d before it goes on with next; a caller that gives up first cuts it off.
func slow(d time.Duration, next step) step {
	return func(ctx context.Context, take func() session.Answer) session.Answer {
		select {
		case <-time.After(d):
			return next(ctx, take)
		case <-ctx.Done():
			return drops(ctx, take)
		}
	}
}

// held waits until open is closed, then goes on with next.
func held(open <-chan struct{}, next step) step {
	return func(ctx context.Context, take func() session.Answer) session.Answer {
		<-open
		return next(ctx, take)
	}
}

// inTurn plays one step a POST; the last one stays.
func inTurn(steps ...step) step {
	var mu sync.Mutex
	return func(ctx context.Context, take func() session.Answer) session.Answer {
		mu.Lock()
		now := steps[0]
		if len(steps) > 1 {
			steps = steps[1:]
		}
		mu.Unlock()
		return now(ctx, take)
	}
}
