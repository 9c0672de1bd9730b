package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/authz"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/pkg/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// build joins the parts. The order is that of dependence; a few point back
// (the life cycle revokes through the relying party, which creates through the
// life cycle), and those are closed by functions.
func (a *App) build(o Options) error {
	cfg := a.cfg
	external, err := url.Parse(cfg.ExternalURL)
	if err != nil {
		return fmt.Errorf("read external_url: %w", err)
	}
	keys, err := seal.ReadKeys(cfg.Session.KeysFile)
	if err != nil {
		return fmt.Errorf("session.keys_file: %w", err)
	}
	profile, err := providerProfile(cfg.Provider)
	if err != nil {
		return err
	}
	a.registry = telemetry.NewRegistry()
	records := o.Store
	if records == nil {
		if records, err = a.openStore(keys, o.Now); err != nil {
			return err
		}
	}
	policy := session.Policy{Threshold: cfg.Refresh.TokenRefreshThreshold.Std()}
	identity := identityHeaders(cfg.Headers)

	var coherent func() (uint64, bool)
	checkInterval := cfg.Sweep.CheckInterval.Std()
	if a.shared != nil {
		coherent = a.shared.Coherent
		checkInterval = min(checkInterval, time.Second) // another replica's logins come without a word
	}
	a.cache, err = sessioncache.New(sessioncache.Options{
		Coherent: coherent, Store: records, Policy: policy, MaxBytes: int64(cfg.Cache.MaxBytes), Life: cfg.Cache.TTL.Std(),
		Encode: authz.NewEncoder(identity, sessionHash(keys)).Encode, EndsAccess: profile.EndsAccess,
		Lost: a.lost,
	})
	if err != nil {
		return err
	}
	a.undo.add("close session cache", func(context.Context) error { a.cache.Close(); return nil })

	a.life = lifecycle.New(lifecycle.Options{
		Store: records, Cache: a.cache, Idle: cfg.Session.Idle.Std(), SharedGrant: profile.SharedGrant, Log: a.log, Now: o.Now,
		Revoker: revokeFunc(func(ctx context.Context, t session.RefreshToken) error { return a.relying.Revoke(ctx, t) }),
		Changed: func() { a.refresher.Kick() },
		Metrics: lifecycle.NewMetrics(a.registry),
	})
	if a.relying, err = rp.New(a.relyingOptions(o, external, keys, policy, profile)); err != nil {
		return err
	}
	a.undo.add("close relying party", func(context.Context) error { a.relying.Close(); return nil })
	a.undo.add("flush sessions", a.life.Close)

	active := min(cfg.Sweep.ActiveWithin.Std(), cfg.Session.Idle.Std()) // whom the reaper has yet to find is not active
	a.refresher = refresh.New(refresh.Options{
		Store: records, Provider: a.relying, Profile: profile, Cache: a.cache, Sessions: a.life, Policy: policy, Now: o.Now,
		Jitter: cfg.Refresh.Jitter.Std(), Deadline: cfg.Refresh.Deadline.Std(), Lease: cfg.Refresh.Lease.Std(),
		Owner: a.name, MaxInFlight: cfg.Sweep.MaxInFlight,
		Sweep: refresh.SweepOptions{
			CheckInterval: checkInterval, Rate: cfg.Sweep.Rate,
			ActiveWithin: active, UseLag: min(lifecycle.FlushEvery, cfg.Session.Idle.Std()-active),
		},
		Log: a.log, Metrics: refresh.NewMetrics(a.registry),
	})
	a.undo.add("finish refreshes", a.refresher.Stop)
	a.log.Info("refresh settings", "profile", profile.Name, "replay", string(profile.Replay), "ends_access", profile.EndsAccess,
		"token_refresh_threshold", policy.Threshold, "check_interval", cfg.Sweep.CheckInterval.Std(), "active_within", cfg.Sweep.ActiveWithin.Std(),
		"sweep_rate", cfg.Sweep.Rate, "max_in_flight", cfg.Sweep.MaxInFlight, "max_wait", cfg.Refresh.MaxWait.Std(), "deadline", cfg.Refresh.Deadline.Std())
	if cfg.Sweep.Enabled && cfg.Sweep.ActiveWithin > cfg.Session.Idle {
		a.log.Warn("sweep.active_within is longer than session.idle, which is taken instead",
			"active_within", cfg.Sweep.ActiveWithin.Std(), "session_idle", cfg.Session.Idle.Std())
	}

	if a.checks, err = authz.New(a.checkOptions(a.cache, external, identity, o.Now)); err != nil {
		return err
	}
	return a.buildServers(operator{
		store: records, life: a.life, refresher: a.refresher, policy: policy, app: cfg.App, provider: cfg.Provider.Issuer, log: a.log, now: o.Now,
	})
}

// providerProfile is the preset that the config names, with what it changes.
func providerProfile(p config.Provider) (session.Profile, error) {
	profile, ok := session.ProfileNamed(p.Profile)
	if !ok {
		return profile, fmt.Errorf("provider.profile: %q is not known", p.Profile)
	}
	if p.Replay != "" {
		profile.Replay = session.Replay(p.Replay)
	}
	return profile, nil
}

func (a *App) openStore(keys *seal.Keyring, now func() time.Time) (lifecycle.Store, error) {
	if a.cfg.Store.Memory != nil {
		a.log.Warn("sessions are kept in memory only and end with this process")
		return memstore.NewAt(now), nil
	}
	if r := a.cfg.Store.Redis; r != nil {
		return a.openShared(*r, keys)
	}
	s, err := boltstore.Open(boltstore.Options{Path: a.cfg.Store.Bolt.Path, Keys: keys, Log: a.log, Now: now})
	if err != nil {
		return nil, err
	}
	a.undo.add("close store", func(context.Context) error { return s.Close() })
	return crashable(s), nil
}

// openShared opens the store that all replicas share.
func (a *App) openShared(r config.Redis, keys *seal.Keyring) (lifecycle.Store, error) {
	o, err := redisOptions(r, keys, a.log)
	if err != nil {
		return nil, err
	}
	o.Owner, o.Metrics = a.name, redisstore.NewMetrics(a.registry)
	s, err := redisstore.Open(o)
	if err != nil {
		return nil, err
	}
	a.undo.add("close store", func(context.Context) error { return s.Close() })
	a.shared = s
	return s, nil
}

func redisOptions(r config.Redis, keys *seal.Keyring, log *slog.Logger) (redisstore.Options, error) {
	secured, err := tlsConfig(r.TLS)
	return redisstore.Options{
		Addresses: r.Addresses, SentinelMaster: r.SentinelMaster,
		User:         redisstore.User{Name: r.Username, NameFile: r.UsernameFile, PasswordFile: r.PasswordFile},
		SentinelUser: redisstore.User{Name: r.SentinelUsername, NameFile: r.SentinelUsernameFile, PasswordFile: r.SentinelPasswordFile},
		TLS:          secured, Prefix: r.Prefix, MaxStale: r.MaxStale.Std(), Keys: keys, Log: log,
	}, err
}

// tlsConfig is that of the config's files; nil: none.
func tlsConfig(o *config.RedisTLS) (*tls.Config, error) {
	if o == nil {
		return nil, nil
	}
	c := &tls.Config{ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("store.redis.tls.ca_file: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("store.redis.tls.ca_file: %s holds no certificate in PEM", o.CAFile)
		}
	}
	if o.CertFile != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // read anew: it is rotated
			cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
			return &cert, err
		}
	}
	return c, nil
}

func (a *App) relyingOptions(o Options, external *url.URL, keys *seal.Keyring, policy session.Policy, profile session.Profile) rp.Options {
	p := a.cfg.Provider
	opts := rp.Options{
		Issuer: p.Issuer, ClientID: p.ClientID, AuthStyle: rp.AuthStyle(p.AuthStyle), Scopes: p.Scopes,
		AuthorizationParams: p.AuthorizationParams,
		ExternalURL:         external, PathPrefix: a.cfg.PathPrefix,
		CookieName: a.cfg.Session.Cookie.Name, CookieDomain: a.cfg.Session.Cookie.Domain,
		Absolute: a.cfg.Session.Absolute.Std(), Policy: policy, Profile: profile, App: a.cfg.App, Now: o.Now,
		Keyring: keys, Sessions: a.life, Transport: o.Transport, Log: a.log,
	}
	for claim := range a.cfg.Headers.Claims {
		opts.Claims = append(opts.Claims, claim)
	}
	if p.ClientSecretFile == "" {
		opts.AuthStyle = rp.AuthPublic
	} else {
		opts.ClientSecret = func() (session.Secret, error) { return readSecret(p.ClientSecretFile) }
	}
	return opts
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

func (a *App) buildServers(sessions operator) error {
	options := []grpc.ServerOption{grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime: 5 * time.Second, PermitWithoutStream: true, // Envoy's connection_keepalive is the operator's choice
	})}
	if files := a.cfg.Listen.TLS; files != nil {
		if err := a.certificate.read(*files); err != nil {
			return err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(a.certificate.config())))
	}
	a.grpc = grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(a.grpc, a.checks)
	a.health = health.NewServer()
	grpc_health_v1.RegisterHealthServer(a.grpc, a.health)
	for _, service := range healthServices() {
		a.health.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	o := admin.Options{
		Ready: a.Ready, Trouble: a.trouble, Metrics: telemetry.Handler(a.registry), Sessions: sessions, Crowd: sessions, Host: a.cfg.Listen.Admin,
	}
	a.admin = &http.Server{Handler: admin.Handler(o), ReadHeaderTimeout: 10 * time.Second}
	a.metrics = &http.Server{Handler: admin.Health(o), ReadHeaderTimeout: 10 * time.Second}
	return nil
}

func healthServices() []string { return []string{"", authv3.Authorization_ServiceDesc.ServiceName} }

func (a *App) setServing() {
	for _, service := range healthServices() {
		a.health.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	a.log.Info("ready")
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

type revokeFunc func(context.Context, session.RefreshToken) error

func (f revokeFunc) Revoke(ctx context.Context, t session.RefreshToken) error { return f(ctx, t) }

func identityHeaders(h config.Headers) authz.Identity {
	return authz.Identity{UserID: h.UserID, Email: h.Email, Name: h.Name, AuthTime: h.AuthTime, SessionID: h.SessionID, Claims: h.Claims}
}

func (a *App) checkOptions(sessions authz.Sessions, external *url.URL, identity authz.Identity, now func() time.Time) authz.Options {
	o := authz.Options{
		Sessions: sessions, Refresher: a.refresher, Activity: a.life, RP: a.relying,
		ExternalURL: external, PathPrefix: a.cfg.PathPrefix,
		CookieName: a.cfg.Session.Cookie.Name, OwnCookies: rp.LoginCookiePrefix,
		Identity: identity, WaitOnDue: a.cfg.Refresh.OnDue == config.DueWait, MaxWait: a.cfg.Refresh.MaxWait.Std(),
		Log: a.log, Metrics: authz.NewMetrics(a.registry), Now: now,
	}
	for _, r := range a.cfg.Rules {
		o.Rules = append(o.Rules, authz.Rule{
			PathPrefix: r.Match.PathPrefix, NoSession: r.Session == config.SessionNone, Bearer: authz.Bearer(r.Bearer),
		})
	}
	return o
}
