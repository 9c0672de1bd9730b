package op

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// user is whoever typed this name.
type user struct {
	sub  string // follows from the name alone
	name Secret
}

func userNamed(name string) user {
	sum := sha256.Sum256([]byte(name))
	sub := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:15])
	return user{sub: "u-" + strings.ToLower(sub), name: Secret(name)}
}

// signIn is one user at one browser since one instant.
type signIn struct {
	user user
	sid  string // of the browser session; public, unlike its cookie
	at   time.Time
}

// describe sets the claims that scopes ask for (OpenID Connect Core section 5.4).
func (u user) describe(info *oidc.UserInfo, scopes []string) {
	info.Subject = u.sub
	if slices.Contains(scopes, oidc.ScopeProfile) {
		info.Name = string(u.name)
		info.PreferredUsername = string(u.name)
	}
	if slices.Contains(scopes, oidc.ScopeEmail) {
		info.Email = string(u.name) + "@example.com"
		info.EmailVerified = true
	}
}

// SetUserinfoFromScopes implements zop.OPStorage; the library wants it empty in
// favour of SetUserinfoFromRequest.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest implements zop.CanSetUserinfoFromRequest: the claims of
// an id_token, with sid, by which end_session finds the browser session again.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, request zop.IDTokenRequest, scopes []string) error {
	var in signIn
	switch r := request.(type) {
	case authRequest:
		in = r.signIn
	case *refreshRequest:
		in = r.token.family.signIn
	default:
		return errors.New("set userinfo: unexpected request")
	}
	in.user.describe(info, scopes)
	info.AppendClaims("sid", in.sid)
	return nil
}

// SetUserinfoFromToken implements zop.OPStorage.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, _, _ string) error {
	s.mu.Lock()
	defer s.unlock()
	t, err := s.access(id)
	if err != nil {
		return err
	}
	t.family.signIn.user.describe(info, t.scopes)
	return nil
}

// SetIntrospectionFromToken implements zop.OPStorage (RFC 7662).
func (s *storage) SetIntrospectionFromToken(_ context.Context, out *oidc.IntrospectionResponse, id, _, _ string) error {
	s.mu.Lock()
	defer s.unlock()
	t, err := s.access(id)
	if err != nil {
		return err
	}
	out.Subject = t.family.signIn.user.sub
	out.ClientID = t.family.client
	out.Scope = t.scopes
	out.TokenType = oidc.BearerToken
	out.IssuedAt = oidc.FromTime(t.issued)
	out.Expiration = oidc.FromTime(t.expires)
	return nil
}

// GetPrivateClaimsFromScopes implements zop.OPStorage, for JWT access tokens.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

// userinfo answers a dead access token with 401 (RFC 6750 section 3.1), where
// the library says 403.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	a := newAnswer()
	p.library.ServeHTTP(a, r)
	if a.status == http.StatusForbidden {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "access token invalid", http.StatusUnauthorized)
		return
	}
	a.writeTo(w)
}
