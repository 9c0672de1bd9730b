package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
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
	var err error
	if a.keys, err = readKeys(cfg); err != nil {
		return err
	}
	set, err := settingsOf(cfg, a.keys)
	if err != nil {
		return err
	}
	a.registry = telemetry.NewRegistry()
	a.metrics = newMetrics(a.registry)
	records := o.Store
	if records == nil {
		if records, err = a.openStore(); err != nil {
			return err
		}
	}
	var coherent func() (uint64, bool)
	if a.shared != nil {
		coherent = a.shared.Coherent
	}
	a.cache, err = sessioncache.New(sessioncache.Options{
		Coherent: coherent, Store: records, MaxBytes: int64(cfg.Cache.MaxBytes), Life: cfg.Cache.TTL.Std(), Settings: a.cacheSettings(set), Lost: a.lost,
	})
	if err != nil {
		return err
	}
	a.undo.add("close session cache", func(context.Context) error { a.cache.Close(); return nil })

	a.life = lifecycle.New(lifecycle.Options{
		Store: records, Cache: a.cache, Revoker: &a.relying, Settings: lifecycleSettings(set), Log: a.log, Now: a.now,
		Changed: func() { a.refresher.Kick() },
		Metrics: lifecycle.NewMetrics(a.registry),
	})
	party, err := rp.New(a.relyingOptions(set))
	if err != nil {
		return err
	}
	a.relying.Store(party)
	a.undo.add("close relying party", func(context.Context) error { party.Close(); return nil })
	a.undo.add("flush sessions", a.life.Close)

	a.refresher = refresh.New(refresh.Options{
		Store: records, Provider: &a.relying, Cache: a.cache, Sessions: a.life, Settings: a.refreshSettings(set), Now: a.now,
		Owner: a.name, MaxInFlight: cfg.Sweep.MaxInFlight, Log: a.log, Metrics: refresh.NewMetrics(a.registry),
	})
	a.undo.add("finish refreshes", a.refresher.Stop)
	checks, err := authz.New(a.checkOptions(set, party))
	if err != nil {
		return err
	}
	a.checks.Store(checks)
	a.policy.Store(&set.policy)
	a.tell(set)
	return a.buildServers(operator{
		store: records, life: a.life, refresher: a.refresher, policy: func() session.Policy { return *a.policy.Load() }, app: cfg.App, provider: cfg.Provider.Issuer, log: a.log, now: a.now,
	})
}

func (a *App) openStore() (lifecycle.Store, error) {
	if a.cfg.Store.Memory != nil {
		a.log.Warn("sessions are kept in memory only and end with this process")
		return memstore.NewAt(a.now), nil
	}
	if r := a.cfg.Store.Redis; r != nil {
		return a.openShared(*r)
	}
	// A large file takes a second or two. Whoever asks meanwhile waits at the listener,
	// and is not turned away. What is wrong with that, Listen tells.
	_ = a.bind()
	s, err := boltstore.Open(boltstore.Options{Path: a.cfg.Store.Bolt.Path, Keys: a.keys, Log: a.log, Now: a.now})
	if err != nil {
		return nil, err
	}
	a.undo.add("close store", func(context.Context) error { return s.Close() })
	return crashable(s), nil
}

// openShared opens the store that all replicas share.
func (a *App) openShared(r config.Redis) (lifecycle.Store, error) {
	o, err := redisOptions(r, a.cfg.App, a.keys, a.log)
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

// redisOptions name everything by the app too: apps that share a server do not see each
// other's sessions.
func redisOptions(r config.Redis, app string, keys *seal.Keyring, log *slog.Logger) (redisstore.Options, error) {
	o := redisstore.Options{
		Addresses: r.Addresses, SentinelMaster: r.SentinelMaster,
		User:         redisstore.User{Name: r.Username, NameFile: r.UsernameFile, PasswordFile: r.PasswordFile},
		SentinelUser: redisstore.User{Name: r.SentinelUsername, NameFile: r.SentinelUsernameFile, PasswordFile: r.SentinelPasswordFile},
		Prefix:       r.Prefix + ":" + app, MaxStale: r.MaxStale.Std(), Keys: keys, Log: log,
	}
	if r.TLS == nil {
		return o, nil
	}
	o.TLS = func() (*tls.Config, error) { return tlsConfig(*r.TLS) }
	_, err := o.TLS() // what is wrong is told at the start, and not by every connection
	return o, err
}

// tlsConfig is what the config's files say now.
func tlsConfig(o config.RedisTLS) (*tls.Config, error) {
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
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("store.redis.tls.cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

func (a *App) buildServers(sessions operator) error {
	options := []grpc.ServerOption{grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime: 5 * time.Second, PermitWithoutStream: true, // Envoy's connection_keepalive is the operator's choice
	})}
	if files := a.cfg.Listen.TLS; files != nil {
		pair, err := readCertificate(*files)
		if err != nil {
			return err
		}
		a.certificate.Store(pair)
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate.Load(), nil },
		})))
	}
	a.grpc = grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(a.grpc, &a.checks)
	a.health = health.NewServer()
	grpc_health_v1.RegisterHealthServer(a.grpc, a.health)
	for _, service := range healthServices() {
		a.health.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	o := admin.Options{
		Ready: a.Ready, Trouble: a.trouble, Metrics: telemetry.Handler(a.registry), Sessions: sessions, Crowd: sessions, Host: a.cfg.Listen.Admin,
	}
	a.admin, a.scraped = httpServer(admin.Handler(o)), httpServer(admin.Health(o))
	return nil
}

func httpServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

func healthServices() []string { return []string{"", authv3.Authorization_ServiceDesc.ServiceName} }

func (a *App) setServing() {
	for _, service := range healthServices() {
		a.health.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	close(a.ready)
	a.log.Info("ready")
}
