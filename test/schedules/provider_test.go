package schedules

import (
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// mode is how a provider treats refresh tokens.
type mode string

const (
	strict      mode = "strict" // a spent one ends the grant
	grace       mode = "grace"  // for a while a spent one brings its successor again
	nonRotating mode = "non-rotating"
	spares      mode = "spares" // a spent one is refused, and that is all
)

const graceTime = 30 * time.Second

// provider has one grant. Its refresh tokens are the numbers from 1, of which
// the newest is good.
type provider struct {
	mode     mode
	newest   int
	spent    time.Time // when the one before the newest was
	revoked  bool
	accesses int
}

// living tells that a refresh with token n would bring tokens.
func (p *provider) living(n int) bool { return !p.revoked && n == p.newest }

// take is the provider's work on one request.
func (p *provider) take(n int) session.Answer {
	now := time.Now()
	switch {
	case p.revoked || n < 1 || n > p.newest:
		return refusal()
	case p.mode == nonRotating:
		return p.answer(session.RefreshToken{})
	case n == p.newest:
		p.newest++
		p.spent = now
		return p.answer(refreshToken(p.newest))
	case p.mode == grace && n == p.newest-1 && now.Before(p.spent.Add(graceTime)):
		return p.answer(refreshToken(p.newest))
	default:
		p.revoked = p.mode != spares
		return refusal()
	}
}

func (p *provider) answer(next session.RefreshToken) session.Answer {
	p.accesses++
	return session.Answer{Class: session.Renewed, Sent: true, Grant: session.Grant{
		Access:  session.AccessToken{Secret: session.NewSecret(fmt.Sprint("access ", p.accesses))},
		Refresh: next, Issued: time.Now(), Lifetime: life,
	}}
}

func refusal() session.Answer {
	return session.Answer{Class: session.Dead, Sent: true, Err: errors.New("invalid_grant")}
}

func refreshToken(n int) session.RefreshToken {
	return session.RefreshToken{Secret: session.NewSecret(fmt.Sprint(n))}
}

// number is the refresh token's, 0 for none of the provider's.
func number(t session.RefreshToken) (n int) {
	_, _ = fmt.Sscan(t.Reveal(), &n)
	return n
}
