package rp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	discoveryTime = 10 * time.Second
	firstRetry    = 500 * time.Millisecond
	lastRetry     = 15 * time.Second
)

// provider is what discovery told (OIDC Discovery section 3). It is immutable.
type provider struct {
	endpoint   oauth2.Endpoint
	revocation string   // empty: none
	endSession *url.URL // nil: none
	saysIssuer bool     // RFC 9207: the callback must carry iss
	verifier   *oidc.IDTokenVerifier
}

// errNotReady is shown by Ready and wrapped into refresh answers.
var errNotReady = errors.New("provider not discovered yet")

// Ready is nil from the first successful discovery on, whatever becomes of the
// OP later. Until then its error says why, for operators.
func (p *RP) Ready() error {
	if p.found.Load() != nil {
		return nil
	}
	return fmt.Errorf("%w: %s", errNotReady, *p.trouble.Load())
}

// Run discovers the provider and returns nil; until it succeeds, it tries again
// under a back-off, or until ctx is done. A failure is logged when it begins and
// when it becomes another one.
func (p *RP) Run(ctx context.Context) error {
	var kind string
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		found, err := p.discover(ctx)
		if err == nil {
			p.found.Store(found)
			p.opts.Log.Info("provider discovered", "issuer", p.opts.Issuer)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		why := brief(err.Error())
		p.trouble.Store(&why)
		if k := kindOf(err); k != kind {
			kind = k
			p.opts.Log.Warn("provider cannot be discovered, logins wait, retrying", "issuer", p.opts.Issuer, "problem", kind, "error", why)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (p *RP) discover(ctx context.Context) (*provider, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	op, err := oidc.NewProvider(oidc.ClientContext(ctx, clientOf(capped{p.opts.Transport})), p.opts.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover provider: %w", err)
	}
	var m struct {
		Keys       string `json:"jwks_uri"`
		EndSession string `json:"end_session_endpoint"`
		Revocation string `json:"revocation_endpoint"`
		SaysIssuer bool   `json:"authorization_response_iss_parameter_supported"`
	}
	if err := op.Claims(&m); err != nil {
		return nil, fmt.Errorf("read discovery document: %w", err)
	}
	endpoint := op.Endpoint()
	for name, at := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": m.Keys,
		"end_session_endpoint": m.EndSession, "revocation_endpoint": m.Revocation,
	} {
		optional := name == "end_session_endpoint" || name == "revocation_endpoint"
		if optional && at == "" {
			continue
		}
		if err := absolute(at); err != nil {
			return nil, fmt.Errorf("read discovery document: %s %w", name, err)
		}
	}
	found := &provider{
		endpoint: endpoint, revocation: m.Revocation, saysIssuer: m.SaysIssuer,
	}
	if m.EndSession != "" {
		found.endSession, _ = url.Parse(m.EndSession)
	}
	// go-oidc takes the algorithms from discovery, without none and HS*, and
	// RS256 if nothing is left. Its key fetches ignore cancellation, hence a time
	// limit of their own.
	keys := clientOf(&throttled{next: capped{p.opts.Transport}})
	keys.Timeout = keysTime
	found.verifier = op.VerifierContext(oidc.ClientContext(ctx, keys), &oidc.Config{ClientID: p.opts.ClientID})
	return found, nil
}

func (p *RP) redirectURI() string { return p.origin + p.opts.PathPrefix + "callback" }

// kindOf sorts discovery errors, so that a changed port number in an error text
// is no change of state.
func kindOf(err error) string {
	if _, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return "issuer differs"
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return "unreachable"
	}
	return "unusable answer"
}

// brief keeps an error page out of the log: go-oidc's errors hold whole bodies.
func brief(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
