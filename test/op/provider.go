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
	tallyPath     = "/_tally"
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
	// ES256 signs with P-256 instead of RSA, at a small part of the cost.
	ES256 bool
	// KeepReceived bounds [Ledger].Received to the last ones; 0 keeps all. The
	// counters are not bounded.
	KeepReceived int
	// Seed decides the random delays ([Fault].DelayMax).
	Seed uint64
	// Log, if set, receives every event after it took effect, from the
	// goroutine that caused it. It may be called concurrently and may call back.
	Log func(Event)
}

// Provider is an OpenID Provider: discovery, authorization code flow with PKCE
// S256, rotating refresh tokens, userinfo, introspection (RFC 7662), revocation
// (RFC 7009) and RP-initiated logout, plus /_ledger, /_tally and /_control. State
// is in memory. It is safe for concurrent use.
type Provider struct {
	issuer  string
	storage *storage
	library *zop.Provider
	mux     *http.ServeMux
	faults  *faults

	tokenPath string

	serving   sync.WaitGroup // requests of RoundTripper
	closeOnce sync.Once
	closed    chan struct{}
}

// New makes a provider with a signing key of its own. Within a synctest
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
		faults: newFaults(o.Seed), closed: make(chan struct{}),
	}
	p.tokenPath = library.TokenEndpoint().Relative()
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
	if o.KeepReceived < 0 {
		return fmt.Errorf("keep received %d is negative", o.KeepReceived)
	}
	if o.AccessTokenLife < 0 {
		return fmt.Errorf("access token life %v is negative", o.AccessTokenLife)
	}
	return nil
}

func (p *Provider) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/", p.library)
	mux.HandleFunc(p.tokenPath, p.token)
	mux.HandleFunc(p.library.UserinfoEndpoint().Relative(), p.userinfo)
	mux.HandleFunc(p.library.EndSessionEndpoint().Relative(), p.endSession)
	mux.HandleFunc("GET "+loginPath, p.loginPage)
	mux.HandleFunc("POST "+loginPath, p.login)
	mux.HandleFunc("GET "+loggedOutPath, p.loggedOut)
	mux.HandleFunc("GET "+ledgerPath, p.ledger)
	mux.HandleFunc("GET "+tallyPath, p.tally)
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
