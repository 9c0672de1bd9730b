package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/authz"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/telemetry"
	"github.com/lamplighter/lamplighter/pkg/watch"
)

// lookEvery is the time between two looks at the files.
const lookEvery = time.Second

// Source is a config file, which may change, and so may the files that it names. Its
// methods, and what is made of it, are for one goroutine at a time.
type Source struct {
	path    string
	environ []string
	files   watch.Files
}

// NewSource is of the file at path, with environ over it, as in [config.Load].
func NewSource(path string, environ []string) *Source { return &Source{path: path, environ: environ} }

// Load is [config.Load]. What changes after it is noticed.
func (s *Source) Load() (config.Config, error) {
	s.watch(config.Config{})
	return config.Load(s.path, s.environ)
}

// watch must come before the files of the configs are read.
func (s *Source) watch(configs ...config.Config) {
	names := []string{s.path}
	for _, c := range configs {
		names = append(names, c.Files()...)
	}
	s.files.Watch(names...)
}

// follow reloads whenever a file has changed, and has then been the same for a second
// look, until ctx is done.
func (a *App) follow(ctx context.Context, s *Source) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	settled := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.files.Changed() {
			settled = false // perhaps somebody is still writing
			continue
		}
		if settled {
			continue
		}
		settled = true
		cfg, err := config.Load(s.path, s.environ)
		if err == nil {
			s.watch(a.cfg, cfg) // what is refused now may be for want of a file that comes later
			err = a.Reload(cfg)
		}
		if err != nil {
			a.metrics.loaded.Set(0)
			a.log.Error("config was not reloaded, what was served before is served on", "error", err)
			continue
		}
		s.watch(cfg)
		a.metrics.loaded.Set(1)
		a.log.Info("config reloaded")
	}
}

// Reload makes cfg, and what the files say that it names, what is served: all of it,
// or, with an error, nothing. Requests under way end as they began. Only one goroutine
// at a time may call it.
func (a *App) Reload(cfg config.Config) error {
	if changed := NeedRestart(a.cfg, cfg); len(changed) > 0 {
		return fmt.Errorf("%s: read at a start only; restart lamplighter, or take the change back", strings.Join(changed, ", "))
	}
	set, err := settingsOf(cfg, a.keys)
	if err != nil {
		return err
	}
	party, err := a.relying.Load().Next(a.relyingOptions(set))
	if err != nil {
		return err
	}
	checks, err := authz.New(a.checkOptions(set, party))
	if err != nil {
		return err
	}
	var certificate *tls.Certificate
	if files := cfg.Listen.TLS; files != nil {
		if certificate, err = readCertificate(*files); err != nil {
			return err
		}
	}
	keys, err := readKeys(cfg)
	if err != nil {
		return err
	}
	if err := a.keys.Replace(keys); err != nil {
		return fmt.Errorf("session.keys_file: %w", err)
	}
	// Nothing can fail from here on.
	a.certificate.Store(certificate)
	a.policy.Store(&set.policy)
	a.life.Configure(lifecycleSettings(set))
	a.relying.Store(party)
	a.refresher.Configure(a.refreshSettings(set))
	a.cache.Configure(a.cacheSettings(set))
	a.checks.Store(checks)
	if a.level != nil {
		a.level.Set(telemetry.Level(cfg.Log.Level))
	}
	a.cfg = cfg
	a.tell(set)
	return nil
}

// NeedRestart names the keys that differ and that a running process cannot follow: it
// has opened what they name, or has made everything of it.
func NeedRestart(before, after config.Config) (keys []string) {
	for _, k := range []struct {
		name string
		of   func(config.Config) any
	}{
		{"listen", func(c config.Config) any { return c.Listen }},
		{"store", func(c config.Config) any { return c.Store }},
		{"app", func(c config.Config) any { return c.App }},
		{"cache", func(c config.Config) any { return c.Cache }},
		{"provider.issuer", func(c config.Config) any { return c.Provider.Issuer }},
		{"provider.client_id", func(c config.Config) any { return c.Provider.ClientID }},
		{"sweep.enabled", func(c config.Config) any { return c.Sweep.Enabled }},
		{"sweep.max_in_flight", func(c config.Config) any { return c.Sweep.MaxInFlight }},
	} {
		if !reflect.DeepEqual(k.of(before), k.of(after)) {
			keys = append(keys, k.name)
		}
	}
	return keys
}

func readCertificate(files config.ListenTLS) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("listen.tls: %w; write a certificate and its key, in PEM", err)
	}
	return &pair, nil
}
