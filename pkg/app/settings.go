package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/authz"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
)

// settings are a configuration, with what follows from it alone.
type settings struct {
	config.Config
	external *url.URL
	profile  session.Profile
	policy   session.Policy
	encoder  *authz.Encoder
}

func settingsOf(cfg config.Config, keys *seal.Keyring) (s settings, err error) {
	s.Config = cfg
	if s.external, err = url.Parse(cfg.ExternalURL); err != nil {
		return s, fmt.Errorf("read external_url: %w", err)
	}
	known := false
	if s.profile, known = session.ProfileNamed(cfg.Provider.Profile); !known {
		return s, fmt.Errorf("provider.profile: %q is not known", cfg.Provider.Profile)
	}
	if cfg.Provider.Replay != "" {
		s.profile.Replay = session.Replay(cfg.Provider.Replay)
	}
	s.policy = session.Policy{Threshold: cfg.Refresh.TokenRefreshThreshold.Std()}
	h := cfg.Headers
	identity := authz.Identity{UserID: h.UserID, Email: h.Email, Name: h.Name, AuthTime: h.AuthTime, SessionID: h.SessionID, Claims: h.Claims}
	s.encoder = authz.NewEncoder(identity, sessionHash(keys))
	return s, nil
}

// relying is the relying party of the settings of the time.
type relying struct{ atomic.Pointer[rp.RP] }

// Refresh implements refresh.TokenEndpoint.
func (r *relying) Refresh(ctx context.Context, s session.Session) session.Answer {
	return r.Load().Refresh(ctx, s)
}

// Revoke implements lifecycle.Revoker.
func (r *relying) Revoke(ctx context.Context, s session.Session) error {
	return r.Load().Revoke(ctx, s)
}

// front answers Envoy by the settings of the time.
type front struct{ atomic.Pointer[authz.Server] }

// Check implements authv3.AuthorizationServer.
func (f *front) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return f.Load().Check(ctx, r)
}

func lifecycleSettings(s settings) lifecycle.Settings {
	return lifecycle.Settings{Idle: s.Session.Idle.Std(), SharedGrant: s.profile.SharedGrant}
}

func (a *App) cacheSettings(s settings) sessioncache.Settings {
	return sessioncache.Settings{
		Policy: s.policy, EndsAccess: s.profile.EndsAccess, Encode: s.encoder.Encode,
	}
}

func (a *App) refreshSettings(s settings) refresh.Settings {
	checkInterval := s.Sweep.CheckInterval.Std()
	if a.shared != nil {
		checkInterval = min(checkInterval, time.Second) // another replica's logins come without a word
	}
	idle := s.Session.Idle.Std()
	active := min(s.Sweep.ActiveWithin.Std(), idle) // whom the reaper has yet to find is not active
	return refresh.Settings{
		Profile: s.profile, Policy: s.policy,
		Jitter: s.Refresh.Jitter.Std(), Deadline: s.Refresh.Deadline.Std(), Lease: s.Refresh.Lease.Std(),
		Sweep: refresh.SweepOptions{
			CheckInterval: checkInterval, Rate: s.Sweep.Rate,
			ActiveWithin: active, UseLag: min(lifecycle.FlushEvery, idle-active),
		},
	}
}

func (a *App) checkOptions(s settings, party *rp.RP) authz.Options {
	o := authz.Options{
		Sessions: a.cache, Refresher: a.refresher, Activity: a.life, RP: party,
		ExternalURL: s.external, PathPrefix: s.PathPrefix,
		CookieName: s.Session.Cookie.Name, OwnCookies: rp.LoginCookiePrefix,
		Encoder: s.encoder, WaitOnDue: s.Refresh.OnDue == config.DueWait, MaxWait: s.Refresh.MaxWait.Std(),
		Log: a.log, Metrics: a.metrics.checks, Now: a.now,
	}
	for _, r := range s.Rules {
		o.Rules = append(o.Rules, authz.Rule{
			PathPrefix: r.Match.PathPrefix, NoSession: r.Session == config.SessionNone, Bearer: authz.Bearer(r.Bearer),
		})
	}
	return o
}

func (a *App) relyingOptions(s settings) rp.Options {
	p := s.Provider
	opts := rp.Options{
		Issuer: p.Issuer, ClientID: p.ClientID, AuthStyle: rp.AuthStyle(p.AuthStyle), Scopes: p.Scopes,
		AuthorizationParams: p.AuthorizationParams,
		ExternalURL:         s.external, PathPrefix: s.PathPrefix,
		CookieName: s.Session.Cookie.Name, CookieDomain: s.Session.Cookie.Domain,
		Absolute: s.Session.Absolute.Std(), Policy: s.policy, Profile: s.profile, App: s.App, Now: a.now,
		Keyring: a.keys, Sessions: a.life, Transport: a.transport, Log: a.log, Metrics: a.metrics.logins,
	}
	for claim := range s.Headers.Claims {
		opts.Claims = append(opts.Claims, claim)
	}
	if p.ClientSecretFile == "" {
		opts.AuthStyle = rp.AuthPublic
	} else {
		opts.ClientSecret = func() (session.Secret, error) { return readSecret(p.ClientSecretFile) }
	}
	return opts
}

// tell logs what the refreshes go by from now on.
func (a *App) tell(s settings) {
	a.log.Info("refresh settings", "profile", s.profile.Name, "replay", string(s.profile.Replay), "ends_access", s.profile.EndsAccess,
		"token_refresh_threshold", s.policy.Threshold, "check_interval", s.Sweep.CheckInterval.Std(), "active_within", s.Sweep.ActiveWithin.Std(),
		"sweep_rate", s.Sweep.Rate, "max_in_flight", s.Sweep.MaxInFlight, "max_wait", s.Refresh.MaxWait.Std(), "deadline", s.Refresh.Deadline.Std())
	if s.Sweep.Enabled && s.Sweep.ActiveWithin > s.Session.Idle {
		a.log.Warn("sweep.active_within is longer than session.idle, which is taken instead",
			"active_within", s.Sweep.ActiveWithin.Std(), "session_idle", s.Session.Idle.Std())
	}
}

func readKeys(cfg config.Config) (*seal.Keyring, error) {
	keys, err := seal.ReadKeys(cfg.Session.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("session.keys_file: %w", err)
	}
	return keys, nil
}

func readSecret(path string) (session.Secret, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return session.Secret{}, fmt.Errorf("provider.client_secret_file: %w; write the client's secret into it", err)
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return session.Secret{}, fmt.Errorf("provider.client_secret_file: %s is empty; write the client's secret into it", path)
	}
	return session.NewSecret(secret), nil
}

// sessionHash names a session to upstreams: a keyed hash, since the id itself
// is what the store is keyed by.
func sessionHash(keys *seal.Keyring) func(session.ID) string {
	box := keys.For("session-hash")
	return func(id session.ID) string {
		sum := box.Sum(id[:])
		return base64.RawURLEncoding.EncodeToString(sum[:18])
	}
}
