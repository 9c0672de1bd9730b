package op

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

const redacted = "[redacted]"

// idTokenLife is how long an id_token says it is valid.
const idTokenLife = time.Hour

// Secret is a string that fmt, slog and encoding/json do not print.
type Secret string

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Client is a relying party this provider knows: confidential, authenticating
// with client_secret_basic or client_secret_post as it likes (RFC 6749 section
// 2.3.1). All URIs compare byte for byte; http is accepted.
type Client struct {
	ID                     string
	Secret                 Secret
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
}

func (c Client) validate() error {
	if c.ID == "" || c.Secret == "" || len(c.RedirectURIs) == 0 {
		return errors.New("client needs an id, a secret and a redirect uri")
	}
	return nil
}

func (c Client) authenticates(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// registration is a Client as the library asks for it.
type registration struct {
	client Client
	issuer string
}

func (r registration) GetID() string                      { return r.client.ID }
func (r registration) RedirectURIs() []string             { return r.client.RedirectURIs }
func (r registration) PostLogoutRedirectURIs() []string   { return r.client.PostLogoutRedirectURIs }
func (registration) ApplicationType() zop.ApplicationType { return zop.ApplicationTypeWeb }
func (registration) AuthMethod() oidc.AuthMethod          { return oidc.AuthMethodBasic }
func (registration) AccessTokenType() zop.AccessTokenType { return zop.AccessTokenTypeBearer }
func (registration) IDTokenLifetime() time.Duration       { return idTokenLife }
func (registration) DevMode() bool                        { return true }
func (registration) IsScopeAllowed(string) bool           { return false }
func (registration) IDTokenUserinfoClaimsAssertion() bool { return true }
func (registration) ClockSkew() time.Duration             { return 0 }
func (registration) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (r registration) LoginURL(request string) string {
	return r.issuer + loginPath + "?" + url.Values{"id": {request}}.Encode()
}

func (registration) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

func (registration) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return unrestricted
}

func (registration) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return unrestricted
}

func unrestricted(scopes []string) []string { return scopes }

// ChangeSecret gives a client another secret; the old one is refused from now on.
func (p *Provider) ChangeSecret(id string, secret Secret) error {
	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[id]
	if !ok {
		return fmt.Errorf("change secret: there is no client %q", id)
	}
	c.client.Secret = secret
	s.clients[id] = c
	return nil
}
