package op

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// DefaultAccessTokenLife is the access token life when [Options] names none.
const DefaultAccessTokenLife = 60 * time.Second

const (
	loginPath     = "/login"
	loggedOutPath = "/logged-out"
	ledgerPath    = "/_ledger"
	controlPath   = "/_control"
)

// Options describe a provider.
type Options struct {
	// Issuer is scheme and authority without a path: "http://127.0.0.1:9400".
	Issuer string
	// Clients are the relying parties; at least one.
	Clients []Client
	// AccessTokenLife is in whole seconds, rounded up; 0 means
	// [DefaultAccessTokenLife].
	AccessTokenLife time.Duration
	// NoRefreshToken starts as [Provider.SetIssueRefreshToken] does with false.
	NoRefreshToken bool
	// Log, if set, receives every event after it took effect, from the
	// goroutine that caused it. It may be called concurrently and may call back.
	Log func(Event)
}

// Provider is an OpenID Provider: discovery, authorization code flow with PKCE
// S256, rotating refresh tokens, userinfo, introspection (RFC 7662), revocation
// (RFC 7009) and RP-initiated logout, plus /_ledger and /_control. State is in
// memory. It is safe for concurrent use.
type Provider struct {
	issuer  string
	storage *storage
	library *zop.Provider
	mux     *http.ServeMux
	faults  *faults

	serving   sync.WaitGroup // requests of RoundTripper
	closeOnce sync.Once
	closed    chan struct{}
}

// New makes a provider with a signing key of its own (RS256). Within a synctest
// bubble it must be made inside the bubble.
func New(o Options) (*Provider, error) {
	if err := validate(o); err != nil {
		return nil, fmt.Errorf("make provider: %w", err)
	}
	s, err := newStorage(o)
	if err != nil {
		return nil, fmt.Errorf("make provider: %w", err)
	}
	config := &zop.Config{
		CodeMethodS256:           true,
		AuthMethodPost:           true,
		GrantTypeRefreshToken:    true,
		DefaultLogoutRedirectURI: o.Issuer + loggedOutPath,
		SupportedScopes:          []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeOfflineAccess},
		SupportedClaims:          []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "name", "preferred_username", "email", "email_verified"},
	}
	crypto, err := newOpaque()
	if err != nil {
		return nil, fmt.Errorf("make provider: %w", err)
	}
	library, err := zop.NewProvider(config, s, zop.StaticIssuer(o.Issuer), zop.WithAllowInsecure(), zop.WithCrypto(crypto))
	if err != nil {
		return nil, fmt.Errorf("make provider: %w", err)
	}
	p := &Provider{
		issuer: o.Issuer, storage: s, library: library,
		faults: newFaults(), closed: make(chan struct{}),
	}
	p.mux = p.routes()
	return p, nil
}

func validate(o Options) error {
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return fmt.Errorf("parse issuer: %w", err)
	}
	if u.Host == "" || strings.Trim(u.Path, "/") != "" || strings.HasSuffix(o.Issuer, "/") {
		return fmt.Errorf("issuer %q must be scheme://host[:port] and nothing else", o.Issuer)
	}
	if len(o.Clients) == 0 {
		return errors.New("no client")
	}
	for _, c := range o.Clients {
		if err := c.validate(); err != nil {
			return err
		}
	}
	if o.AccessTokenLife < 0 {
		return fmt.Errorf("access token life %v is negative", o.AccessTokenLife)
	}
	return nil
}

func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/", p.library)
	mux.HandleFunc(p.library.TokenEndpoint().Relative(), p.token)
	mux.HandleFunc(p.library.UserinfoEndpoint().Relative(), p.userinfo)
	mux.HandleFunc(p.library.EndSessionEndpoint().Relative(), p.endSession)
	mux.HandleFunc("GET "+loginPath, p.loginPage)
	mux.HandleFunc("POST "+loginPath, p.login)
	mux.HandleFunc("GET "+loggedOutPath, p.loggedOut)
	mux.HandleFunc("GET "+ledgerPath, p.ledger)
	mux.HandleFunc("POST "+controlPath, p.control)
	return mux
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// Close drops every held and delayed token request, refuses new in-process
// ones, and waits for those the RoundTripper still serves. It may be called
// more than once.
func (p *Provider) Close() {
	p.closeOnce.Do(func() {
		p.storage.mu.Lock()
		defer p.storage.mu.Unlock()
		close(p.closed)
	})
	p.serving.Wait()
}

// SetAccessTokenLife sets the life of access tokens issued from now on, in whole
// seconds, rounded up and at least one.
func (p *Provider) SetAccessTokenLife(d time.Duration) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.life = wholeSeconds(d)
}

// SetOmitExpiresIn leaves expires_in out of token answers from now on.
func (p *Provider) SetOmitExpiresIn(omit bool) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.omitExpiresIn = omit
}

// SetIssueRefreshToken decides whether token answers carry a refresh token from
// now on. While they do not, a live refresh token is accepted without being
// consumed: a provider that does not rotate.
func (p *Provider) SetIssueRefreshToken(issue bool) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.issueRefresh = issue
}

func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
