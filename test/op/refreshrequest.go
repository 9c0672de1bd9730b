package op

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// refreshRequest is one token request with a refresh token this provider once
// issued. Whether it is still good is for rotate to say.
type refreshRequest struct {
	token  *refreshToken
	scopes []string
}

// What follows reads only fields of the family that never change.

func (r *refreshRequest) GetAMR() []string                 { return nil }
func (r *refreshRequest) GetAudience() []string            { return []string{r.token.family.client} }
func (r *refreshRequest) GetAuthTime() time.Time           { return r.token.family.signIn.at }
func (r *refreshRequest) GetClientID() string              { return r.token.family.client }
func (r *refreshRequest) GetScopes() []string              { return r.scopes }
func (r *refreshRequest) GetSubject() string               { return r.token.family.signIn.user.sub }
func (r *refreshRequest) SetCurrentScopes(scopes []string) { r.scopes = scopes }

// TokenRequestByRefreshToken implements zop.AuthStorage. It does not look
// whether the token is spent: the check belongs in the same step as the
// consumption, or two at once would both pass it.
func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (zop.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.unlock()
	t := s.refreshes[digestOf(token)]
	if t == nil {
		return nil, errDeadGrant()
	}
	return &refreshRequest{token: t, scopes: t.family.scopes}, nil
}

// GetRefreshTokenInfo implements zop.AuthStorage. The token id it returns is
// what RevokeToken gets.
func (s *storage) GetRefreshTokenInfo(_ context.Context, _, token string) (userID, tokenID string, err error) {
	s.mu.Lock()
	defer s.unlock()
	d := digestOf(token)
	t := s.refreshes[d]
	if t == nil {
		return "", "", zop.ErrInvalidRefreshToken
	}
	return t.family.signIn.user.sub, hex.EncodeToString(d[:]), nil
}

// RevokeToken implements zop.AuthStorage (RFC 7009): a refresh token takes its
// family with it, an access token only itself. An unknown token is no error.
func (s *storage) RevokeToken(_ context.Context, id, _, client string) *oidc.Error {
	s.mu.Lock()
	defer s.unlock()
	if t := s.refreshes[digestFrom(id)]; t != nil {
		if t.family.client != client {
			return errNotYours()
		}
		s.revoke(t.family, ReasonRevocation)
		return nil
	}
	t, err := s.access(id)
	if err != nil {
		return nil
	}
	if t.family.client != client {
		return errNotYours()
	}
	t.revoked = true
	s.note(Event{Kind: KindRevoke, Client: client, Family: t.family.name, Reason: ReasonRevocation})
	return nil
}

func digestFrom(id string) (d digest) {
	if b, err := hex.DecodeString(id); err == nil && len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

func errNotYours() *oidc.Error {
	return oidc.ErrInvalidGrant().WithParent(errors.New("token of another client"))
}
