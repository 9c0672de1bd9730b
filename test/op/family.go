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
	generations int    // refresh tokens issued
	consumed    int    // of them spent
	revoked     string // the reason; empty while alive
}

type refreshToken struct {
	family     *family
	generation int  // 1, 2, …
	spent      bool // consumed by a refresh that issued the next one
	cameBack   bool // presented again after that
}

type accessToken struct {
	family  *family
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
	life       time.Duration // of the access token issued; 0 if none was
	omitLife   bool          // leave expires_in out
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
func (s *storage) CreateAccessAndRefreshTokens(ctx context.Context, request zop.TokenRequest, _ string) (string, string, time.Time, error) {
	switch r := request.(type) {
	case authRequest:
		return s.redeem(ctx, r, true)
	case *refreshRequest:
		return s.rotate(ctx, r)
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
	issueFrom(ctx).family = f.name
	s.note(Event{Kind: KindCode, Client: f.client, Family: f.name})
	if offline && s.issueRefresh {
		refresh = s.nextRefreshToken(f)
	}
	id, expires = s.newAccessToken(ctx, f, f.scopes)
	return id, refresh, expires, nil
}

// rotate checks a refresh token and consumes it, in one step. Of any number at
// once with one token:
//
//  1. the first to get mu finds it live, spends it and gets the next one;
//  2. every other finds it spent, which is reuse, and revokes the family;
//  3. so the first has its answer, and tokens that are dead on arrival.
func (s *storage) rotate(ctx context.Context, r *refreshRequest) (id, refresh string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.unlock()
	t, f := r.token, r.token.family
	i := issueFrom(ctx)
	i.family, i.generation = f.name, t.generation
	if t.spent {
		s.reused(t)
		return "", "", time.Time{}, errDeadGrant()
	}
	if f.revoked != "" {
		return "", "", time.Time{}, errDeadGrant()
	}
	if s.issueRefresh {
		t.spent = true
		f.consumed++
		refresh = s.nextRefreshToken(f)
	}
	s.note(Event{Kind: KindRefresh, Client: f.client, Family: f.name, Generation: t.generation})
	id, expires = s.newAccessToken(ctx, f, r.scopes)
	return id, refresh, expires, nil
}

// reused books a spent token that came back. The caller holds mu.
func (s *storage) reused(t *refreshToken) {
	s.book.reuse++
	if !t.cameBack {
		t.cameBack = true
		s.book.consumedTwice++
	}
	s.note(Event{Kind: KindReuse, Client: t.family.client, Family: t.family.name, Generation: t.generation})
	s.revoke(t.family, ReasonReuse)
}

// revoke ends a family; the first reason stays. The caller holds mu.
func (s *storage) revoke(f *family, reason string) {
	if f.revoked != "" {
		return
	}
	f.revoked = reason
	s.book.revokedBy[reason]++
	s.note(Event{Kind: KindRevoke, Client: f.client, Family: f.name, Reason: reason})
}

// nextRefreshToken issues the next generation. The caller holds mu.
func (s *storage) nextRefreshToken(f *family) string {
	f.generations++
	token := rand.Text()
	s.refreshes[digestOf(token)] = &refreshToken{family: f, generation: f.generations}
	return token
}

// newAccessToken issues an access token; the library encrypts the id it returns
// into an opaque one. The caller holds mu.
func (s *storage) newAccessToken(ctx context.Context, f *family, scopes []string) (id string, expires time.Time) {
	now := time.Now()
	s.sweep(now)
	t := &accessToken{family: f, scopes: scopes, issued: now, expires: now.Add(s.life)}
	id = rand.Text()
	s.accesses[id] = t
	i := issueFrom(ctx)
	i.life, i.omitLife = s.life, s.omitExpiresIn
	return id, t.expires
}

// access returns a live access token. The caller holds mu.
func (s *storage) access(id string) (*accessToken, error) {
	t := s.accesses[id]
	if t == nil || t.revoked || t.family.revoked != "" || !time.Now().Before(t.expires) {
		return nil, errors.New("access token is unknown, expired or revoked")
	}
	return t, nil
}
