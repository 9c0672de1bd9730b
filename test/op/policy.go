package op

import (
	"fmt"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Rotation says what a refresh does to the refresh token that was presented.
type Rotation string

// The rotations.
const (
	// RotateStrict, the default: the token is spent, and the answer has the next.
	RotateStrict Rotation = "strict"
	// RotateGraceSame is strict, but for [Policy].Grace after it was spent the
	// token is accepted again, and answered with the same next one, until that
	// is spent itself.
	RotateGraceSame Rotation = "grace_same"
	// RotateGraceFork is strict, but for [Policy].Grace after it was spent the
	// token is accepted again, each time with a next one of its own. All live.
	RotateGraceFork Rotation = "grace_fork"
	// RotateNone never spends a token, and the answer has none.
	RotateNone Rotation = "none"
	// RotateNoneRepeat never spends a token, and the answer repeats it.
	RotateNoneRepeat Rotation = "none_repeat"
)

// Policy is how the provider treats refresh tokens. The zero Policy rotates
// strictly and revokes the family when a spent token comes back.
type Policy struct {
	// Rotation is [RotateStrict] if empty.
	Rotation Rotation `json:"rotation,omitempty"`
	// Grace belongs to [RotateGraceSame] and [RotateGraceFork].
	Grace Duration `json:"grace,omitempty"`
	// SpareFamily refuses a spent token that comes back and leaves the rest of its
	// family alive.
	SpareFamily bool `json:"spare_family,omitempty"`
	// OnePerUser allows one family with a refresh token for each user and client:
	// a login ends the refresh tokens of those before. Their access tokens live on.
	OnePerUser bool `json:"one_per_user,omitempty"`
	// EndAccess ends the family's earlier access tokens at each refresh.
	EndAccess bool `json:"end_access,omitempty"`
	// DeadError and DeadStatus are the error code and HTTP status of a refresh
	// with a token that is not good, in place of invalid_grant and 400.
	DeadError  string `json:"dead_error,omitempty"`
	DeadStatus int    `json:"dead_status,omitempty"`
}

func (p Policy) validate() error {
	switch p.Rotation {
	case "", RotateStrict, RotateNone, RotateNoneRepeat:
		if p.Grace != 0 {
			return fmt.Errorf("rotation %q has no grace", string(p.Rotation))
		}
	case RotateGraceSame, RotateGraceFork:
		if p.Grace <= 0 {
			return fmt.Errorf("rotation %q needs a grace", string(p.Rotation))
		}
	default:
		return fmt.Errorf("rotation %q is not strict, grace_same, grace_fork, none or none_repeat", string(p.Rotation))
	}
	if p.DeadStatus != 0 && (p.DeadStatus < 400 || p.DeadStatus > 599) {
		return fmt.Errorf("dead_status %d is not 400 to 599", p.DeadStatus)
	}
	return nil
}

// SetPolicy puts policy in force from the next token request on. What was spent
// stays spent, and what died stays dead. It fails on a policy that cannot be.
func (p *Provider) SetPolicy(policy Policy) error {
	if err := policy.validate(); err != nil {
		return fmt.Errorf("set policy: %w", err)
	}
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.policy = policy
	return nil
}

// within reports whether a token spent at spent is in its grace.
func (p Policy) within(spent time.Time) bool {
	return p.Grace > 0 && time.Since(spent) < time.Duration(p.Grace)
}

// deadGrant puts the policy's error in place of an invalid_grant.
func (s *storage) deadGrant(a *answer) *answer {
	s.mu.Lock()
	policy := s.policy
	s.mu.Unlock()
	if policy.DeadError == "" && policy.DeadStatus == 0 || a.errorCode() != string(oidc.InvalidGrant) {
		return a
	}
	code, status := string(oidc.InvalidGrant), a.status
	if policy.DeadError != "" {
		code = policy.DeadError
	}
	if policy.DeadStatus != 0 {
		status = policy.DeadStatus
	}
	return refuse(status, fmt.Sprintf(`{"error":%q}`, code), nil)
}
