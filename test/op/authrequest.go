package op

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

const (
	authRequestLife = 10 * time.Minute // from the request to the last use of its code
	codeLife        = time.Minute      // RFC 6749 section 4.1.2 wants it short
)

// authRequest is an authorization request on its way to a code and a family.
// The library gets copies; the one in storage.requests changes under storage.mu.
type authRequest struct {
	id       string
	created  time.Time
	asked    oidc.AuthRequest
	codeEnds time.Time
	signIn   signIn  // zero until the login page was passed
	family   *family // set when the code was redeemed
}

func (r authRequest) GetID() string                      { return r.id }
func (r authRequest) GetACR() string                     { return "" }
func (r authRequest) GetAMR() []string                   { return nil }
func (r authRequest) GetAudience() []string              { return []string{r.asked.ClientID} }
func (r authRequest) GetAuthTime() time.Time             { return r.signIn.at }
func (r authRequest) GetClientID() string                { return r.asked.ClientID }
func (r authRequest) GetNonce() string                   { return r.asked.Nonce }
func (r authRequest) GetRedirectURI() string             { return r.asked.RedirectURI }
func (r authRequest) GetResponseType() oidc.ResponseType { return r.asked.ResponseType }
func (r authRequest) GetResponseMode() oidc.ResponseMode { return r.asked.ResponseMode }
func (r authRequest) GetScopes() []string                { return r.asked.Scopes }
func (r authRequest) GetState() string                   { return r.asked.State }
func (r authRequest) GetSubject() string                 { return r.signIn.user.sub }
func (r authRequest) Done() bool                         { return r.signIn.user.sub != "" }
func (r authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.asked.CodeChallenge, Method: r.asked.CodeChallengeMethod}
}

// wantsPage reports whether the request asks for the login page although the
// browser is signed in since at (OpenID Connect Core section 3.1.2.1; the
// library turns prompt=login into max_age=0).
func (r authRequest) wantsPage(now, at time.Time) bool {
	return r.asked.MaxAge != nil && now.Sub(at) >= time.Duration(*r.asked.MaxAge)*time.Second
}

func (r authRequest) forbidsPage() bool { return slices.Contains(r.asked.Prompt, oidc.PromptNone) }

// CreateAuthRequest implements zop.AuthStorage. The library takes PKCE as an
// option; here nobody gets past without S256 (RFC 7636).
func (s *storage) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (zop.AuthRequest, error) {
	if asked.CodeChallenge == "" || asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("code_challenge with code_challenge_method S256 is required")
	}
	s.mu.Lock()
	defer s.unlock()
	now := time.Now()
	s.sweep(now)
	r := &authRequest{id: rand.Text(), created: now, asked: *asked}
	s.requests[r.id] = r
	return *r, nil
}

// AuthRequestByID implements zop.AuthStorage.
func (s *storage) AuthRequestByID(_ context.Context, id string) (zop.AuthRequest, error) {
	return s.request(id)
}

func (s *storage) request(id string) (authRequest, error) {
	s.mu.Lock()
	defer s.unlock()
	r := s.requests[id]
	if r == nil || time.Since(r.created) > authRequestLife {
		return authRequest{}, errors.New("unknown or expired login request")
	}
	return *r, nil
}

// SaveAuthCode implements zop.AuthStorage.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.unlock()
	r := s.requests[id]
	if r == nil {
		return errors.New("unknown or expired login request")
	}
	r.codeEnds = time.Now().Add(codeLife)
	s.codes[digestOf(code)] = id
	return nil
}

// AuthRequestByCode implements zop.AuthStorage. It returns a redeemed request
// too: the replay is judged in redeem, after the client proved who it is.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (zop.AuthRequest, error) {
	s.mu.Lock()
	defer s.unlock()
	r := s.requests[s.codes[digestOf(code)]]
	if r == nil || time.Now().After(r.codeEnds) {
		return nil, errors.New("unknown or expired code")
	}
	return *r, nil
}

// DeleteAuthRequest implements zop.AuthStorage. The request stays until it is
// swept, or a replayed code would be an unknown one.
func (s *storage) DeleteAuthRequest(context.Context, string) error { return nil }
