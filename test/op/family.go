package op

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// family is every token that grew from one authorization code: one generation
// of refresh token after the other, and the access tokens issued with them. It
// lives and dies as a whole.
type family struct {
	name        string // "f1", …
	client      string
	scopes      []string
	signIn      signIn
	generations int     // refresh tokens issued
	consumed    int     // of them spent
	accesses    int     // access tokens issued
	accessesEnd int     // so many of them ended at a refresh
	revoked     string  // the reason; empty while alive
	replaced    bool    // its refresh tokens are dead, by a later login
	earlier     *family // the one before it of the same owner
}

// owner is whose families replace each other under [Policy].OnePerUser.
type owner struct{ sub, client string }

type accessToken struct {
	family  *family
	number  int // 1, 2, … within the family
	scopes  []string
	issued  time.Time
	expires time.Time
	revoked bool
}

// issue is what a token request produced, as far as its answer and its ledger
// entry need it. It travels in the request's context, because the library
// stands between the endpoint and the storage.
type issue struct {
	family     string
	generation int           // the one presented
	spent      bool          // it had been consumed before
	accepted   bool          // it was taken
	life       time.Duration // of the access token issued; 0 if none was
	omitLife   bool          // leave expires_in out
	noIDToken  bool          // leave the id_token of a refresh out
}

type issueKey struct{}

func issueFrom(ctx context.Context) *issue {
	if i, ok := ctx.Value(issueKey{}).(*issue); ok {
		return i
	}
	return new(issue)
}

// errDeadGrant is the one answer to every grant that is no longer good: which
// check refused it is nobody's business but the ledger's.
func errDeadGrant() error {
	return oidc.ErrInvalidGrant().WithDescription("grant request is invalid")
}

// CreateAccessToken implements zop.AuthStorage: a code without offline_access.
func (s *storage) CreateAccessToken(ctx context.Context, request zop.TokenRequest) (string, time.Time, error) {
	r, ok := request.(authRequest)
	if !ok {
		return "", time.Time{}, fmt.Errorf("create access token: unexpected request %T", request)
	}
	id, _, expires, err := s.redeem(ctx, r, false)
	return id, expires, err
}

// CreateAccessAndRefreshTokens implements zop.AuthStorage.
func (s *storage) CreateAccessAndRefreshTokens(ctx context.Context, request zop.TokenRequest, presented string) (string, string, time.Time, error) {
	switch r := request.(type) {
	case authRequest:
		return s.redeem(ctx, r, true)
	case *refreshRequest:
		return s.rotate(ctx, r, presented)
	}
	return "", "", time.Time{}, fmt.Errorf("create tokens: unexpected request %T", request)
}

// redeem turns a code into a family, once.
func (s *storage) redeem(ctx context.Context, r authRequest, offline bool) (id, refresh string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.unlock()
	live := s.requests[r.id]
	if live == nil {
		return "", "", time.Time{}, errDeadGrant()
	}
	if live.family != nil {
		issueFrom(ctx).family = live.family.name
		s.revoke(live.family, ReasonReplay)
		return "", "", time.Time{}, errDeadGrant()
	}
	f := &family{
		name:   fmt.Sprintf("f%d", len(s.families)+1),
		client: r.asked.ClientID, scopes: r.asked.Scopes, signIn: r.signIn,
	}
	live.family = f
	s.families = append(s.families, f)
	s.bySession[f.signIn.sid] = append(s.bySession[f.signIn.sid], f)
	issueFrom(ctx).family = f.name
	s.note(Event{Kind: KindCode, Client: f.client, Family: f.name})
	if offline && s.issueRefresh {
		s.own(f)
		_, refresh = s.nextRefreshToken(f)
	}
	id, expires = s.newAccessToken(ctx, f, f.scopes)
	return id, refresh, expires, nil
}

// revoke ends a family; the first reason stays. The caller holds mu.
func (s *storage) revoke(f *family, reason string) {
	if f.revoked != "" {
		return
	}
	f.revoked = reason
	s.book.revoked++
	s.book.revokedBy[reason]++
	if !f.replaced {
		s.book.inactive++
	}
	s.note(Event{Kind: KindRevoke, Client: f.client, Family: f.name, Reason: reason})
}

// newAccessToken issues an access token; the library encrypts the id it returns
// into an opaque one. The caller holds mu.
func (s *storage) newAccessToken(ctx context.Context, f *family, scopes []string) (id string, expires time.Time) {
	now := time.Now()
	s.sweep(now)
	f.accesses++
	s.issued++
	t := &accessToken{family: f, number: f.accesses, scopes: scopes, issued: now, expires: now.Add(s.life)}
	id = rand.Text()
	s.accesses[id] = t
	i := issueFrom(ctx)
	i.life, i.omitLife, i.noIDToken = s.life, s.omitExpiresIn, s.noIDToken
	return id, t.expires
}

// access returns a live access token. The caller holds mu.
func (s *storage) access(id string) (*accessToken, error) {
	t := s.accesses[id]
	if t == nil || t.revoked || t.number <= t.family.accessesEnd || t.family.revoked != "" || !time.Now().Before(t.expires) {
		return nil, errors.New("access token is unknown, expired or revoked")
	}
	return t, nil
}
