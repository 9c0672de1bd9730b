package rp

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/cookie"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// AuthStyle is how the client authenticates at the token endpoint. It is never
// probed: a probe would spend a one-time token.
type AuthStyle string

// The styles, by their names in OIDC Core section 9.
const (
	AuthBasic  AuthStyle = "client_secret_basic"
	AuthPost   AuthStyle = "client_secret_post"
	AuthPublic AuthStyle = "none" // a public client: PKCE alone
)

// Sessions is what the relying party needs of the session life cycle. Errors
// are the sentinels of package session.
type Sessions interface {
	// Create makes a session durable before it returns.
	Create(ctx context.Context, s session.Session) error
	Get(ctx context.Context, id session.ID) (session.Session, error)
	// End ends a session for good and returns what it was.
	End(ctx context.Context, id session.ID, why session.Reason) (session.Session, error)
}

// Options of New. AuthorizationParams, Transport, Claims and Now may be left out.
type Options struct {
	Issuer   string // of the OP, exactly as it writes it
	ClientID string
	// ClientSecret reads the client secret: once in New, and again after the OP
	// refused the client. Nil with AuthPublic.
	ClientSecret func() (session.Secret, error)
	AuthStyle    AuthStyle
	Scopes       []string // must contain openid
	// AuthorizationParams are added to the authorization request; none of them is
	// one that login sets itself.
	AuthorizationParams map[string]string

	// ExternalURL is the origin the browser sees: scheme and host, no path.
	ExternalURL *url.URL
	// PathPrefix of login, callback, logout and session: "/auth/".
	PathPrefix   string
	CookieName   string
	CookieDomain string        // empty: this host only
	Absolute     time.Duration // life of a session, and Max-Age of its cookie
	Policy       session.Policy
	Profile      session.Profile // of the OP
	App          string
	// Claims are the further ID Token claims to keep in Identity.Claims.
	Claims []string

	Keyring  *seal.Keyring
	Sessions Sessions
	// Transport carries every request to the OP; nil means one made for
	// one-time tokens, see transport.go.
	Transport http.RoundTripper
	Log       *slog.Logger
	Metrics   *Metrics
	// Now is the clock of what is compared with a stored time; nil: time.Now. What
	// is compared with the OP's times, in an ID Token, goes by time.Now, which
	// follows the corrections that the OP's clock follows.
	Now func() time.Time
}

// RP is the relying party of one client at one OP. It is safe for concurrent use.
type RP struct {
	opts   Options
	origin string // of ExternalURL, as browsers write it in Origin
	secret clientSecret
	box    *seal.Box
	layout *template.Template
	*lasting
}

// lasting is what outlives a change of the options.
type lasting struct {
	client *http.Client

	found   atomic.Pointer[provider] // nil until discovered
	trouble atomic.Pointer[string]   // why it is not

	exchanges exchanges
	running   sync.WaitGroup // code exchanges

	noLifetime sync.Once // warns
}

// New checks the options and reads the client secret. It does no network I/O:
// Run finds the provider.
func New(o Options) (*RP, error) {
	if o.Transport == nil {
		o.Transport = oneTimeTransport()
	}
	never := "provider not asked yet"
	l := &lasting{client: clientOf(o.Transport)}
	l.trouble.Store(&never)
	return newRP(o, l)
}

// Next is the RP of the same client at the same OP, with other options: of o, Issuer,
// ClientID and Transport stay what they are. What is known of the OP, and which codes
// were used, it shares with p, whose Close is then that of both.
func (p *RP) Next(o Options) (*RP, error) {
	o.Issuer, o.ClientID, o.Transport = p.opts.Issuer, p.opts.ClientID, p.opts.Transport
	return newRP(o, p.lasting)
}

func newRP(o Options, l *lasting) (*RP, error) {
	origin, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("set up relying party: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &RP{opts: o, origin: origin, box: o.Keyring.For("login"), layout: newLayout(), lasting: l}
	if o.AuthStyle != AuthPublic {
		p.secret.read = o.ClientSecret
		if p.secret.current, err = o.ClientSecret(); err != nil {
			return nil, fmt.Errorf("read client secret: %w", err)
		}
	}
	return p, nil
}

// Close waits for the code exchanges under way, each of which has a deadline,
// and drops idle connections. Call it when ServeHTTP is not called any more.
func (p *RP) Close() {
	p.running.Wait()
	p.client.CloseIdleConnections()
}

func (o *Options) check() (origin string, err error) {
	if err := absolute(o.Issuer); err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	if origin, err = originOf(o.ExternalURL); err != nil {
		return "", fmt.Errorf("external_url: %w", err)
	}
	if err := cookie.CheckName(o.CookieName, o.CookieDomain); err != nil {
		return "", fmt.Errorf("cookie name %q %w", o.CookieName, err)
	}
	if strings.HasPrefix(o.CookieName, LoginCookiePrefix) {
		return "", fmt.Errorf("cookie name %q is kept for login attempts", o.CookieName)
	}
	switch {
	case o.ClientID == "":
		return "", errors.New("client_id is empty")
	case !slices.Contains([]AuthStyle{AuthBasic, AuthPost, AuthPublic}, o.AuthStyle):
		return "", fmt.Errorf("auth style %q is none of client_secret_basic, client_secret_post, none", o.AuthStyle)
	case (o.AuthStyle == AuthPublic) != (o.ClientSecret == nil):
		return "", fmt.Errorf("auth style %q and the client secret contradict each other", o.AuthStyle)
	case !slices.Contains(o.Scopes, "openid"):
		return "", errors.New("scopes lack openid")
	case len(o.PathPrefix) < 3 || o.PathPrefix[0] != '/' || !strings.HasSuffix(o.PathPrefix, "/"):
		return "", fmt.Errorf("path prefix %q does not begin and end with a slash", o.PathPrefix)
	case o.Absolute <= 0:
		return "", fmt.Errorf("absolute session life %v is not positive", o.Absolute)
	case o.Profile.Name == "" || o.Profile.Replay == "":
		return "", errors.New("provider profile is missing")
	case o.Keyring == nil, o.Sessions == nil, o.Log == nil, o.Metrics == nil:
		return "", errors.New("keyring, sessions, log and metrics are required")
	}
	return origin, nil
}

// absolute accepts what can be an endpoint or issuer: an absolute http(s) URL.
func absolute(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("is not an absolute https or http URL")
	}
	return nil
}

// originOf serializes u as a browser does in Origin (RFC 6454 section 6.2).
func originOf(u *url.URL) (string, error) {
	if u == nil {
		return "", errors.New("is missing")
	}
	if err := absolute(u.String()); err != nil {
		return "", err
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return "", errors.New("has a path or a query; write scheme and host only")
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if p := u.Port(); p == "443" && scheme == "https" || p == "80" && scheme == "http" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	return scheme + "://" + host, nil
}
