package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
)

// stopWithin bounds Stop: less than the 30 s that Kubernetes grants.
const stopWithin = 25 * time.Second

// drainWithin bounds the wait for Checks in flight: longer than Envoy waits for
// one. A health Watch never ends by itself.
const drainWithin = 6 * time.Second

// Options of New that are not configuration.
type Options struct {
	Log *slog.Logger
	// Level is that of Log, to follow log.level; nil: it stays as it is.
	Level *slog.LevelVar
	// TakeOver: another process may have the listeners; this one takes them once it can
	// answer Checks. It needs store.redis.
	TakeOver bool
	// Source is where the config comes from, to be followed; nil: it stays as it is.
	Source *Source
	// Transport carries the requests to the OP; nil: the relying party's own.
	Transport http.RoundTripper
	// Store replaces the configured one; nil: open what the config says. App does
	// not close a store it was given.
	Store lifecycle.Store
	// Now is the clock of everything that compares with a stored time; nil:
	// time.Now. See SteadyClock.
	Now func() time.Time
}

// App is one lamplighter process. New, Listen, Start and Stop are called in
// this order, each once, by one goroutine.
type App struct {
	cfg       config.Config // what is served; once Start is called, that is for Reload alone
	listen    config.Listen // of it; it stays as it is
	log       *slog.Logger
	now       func() time.Time
	transport http.RoundTripper // as in Options, and so are the next three
	level     *slog.LevelVar
	source    *Source
	takeOver  bool
	ready     chan struct{} // closed when Checks can be answered
	registry  *prometheus.Registry
	name      string // of this incarnation, among the replicas

	shared    *redisstore.Store // nil: the store is this process's own
	keys      *seal.Keyring
	cache     *sessioncache.Cache
	checks    front
	relying   relying
	life      *lifecycle.Lifecycle
	refresher *refresh.Refresher
	policy    atomic.Pointer[session.Policy]
	metrics   metrics

	certificate    atomic.Pointer[tls.Certificate] // of the Check listener
	grpc           *grpc.Server
	health         *health.Server
	admin, scraped *http.Server

	bound   []net.Listener // check, admin, perhaps metrics
	listens bool           // they are served
	serving sync.WaitGroup // the listeners' goroutines
	failed  chan error     // a listener that ended by itself
	undo    cleanups
}

// New opens what the config names and builds every part. Nothing is served and
// nothing runs in the background yet. If it fails, nothing is left open.
func New(cfg config.Config, o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &App{cfg: cfg, listen: cfg.Listen, log: o.Log, now: o.Now, transport: o.Transport, level: o.Level, source: o.Source, takeOver: o.TakeOver, ready: make(chan struct{}), name: rand.Text(), failed: make(chan error, 3)}
	if o.TakeOver && cfg.Store.Redis == nil {
		return nil, errors.New("take over: the embedded store has one owner at a time; stop the other lamplighter and start this one (a gateway that repeats its Checks bridges that), or use store.redis")
	}
	if a.source != nil {
		a.source.watch(cfg)
	}
	if err := a.build(o); err != nil {
		return nil, errors.Join(err, a.undo.run(context.Background()))
	}
	return a, nil
}

// CheckServer answers Envoy; for callers in the same process.
func (a *App) CheckServer() authv3.AuthorizationServer { return &a.checks }

// AdminHandler is what the admin listener serves; for callers in the same process.
func (a *App) AdminHandler() http.Handler { return a.admin.Handler }

// Ready is nil once Checks can be answered: the provider has been reached once.
// A provider that goes down later leaves it ready, since sessions live on.
func (a *App) Ready() error { return a.relying.Load().Ready() }

// trouble is what operators should know of a process that is ready. A store that is
// away leaves it ready: every replica would be taken out at once, with what needs no
// session, and with what is served from memory.
func (a *App) trouble() string {
	if a.shared == nil {
		return ""
	}
	return a.shared.Trouble()
}

// Listen serves all listeners, and binds them first if New has not. If it fails,
// none is bound.
func (a *App) Listen() error {
	if a.bound == nil {
		if err := a.bind(); err != nil {
			return err
		}
	}
	a.listens = true
	bound := a.bound
	check, told := bound[0], []any{"check", a.listen.Check}
	if network, _ := config.SplitAddress(a.listen.Check); network == "tcp" {
		told = append(told, "check_addr", check.Addr().String())
	}
	a.serving.Go(func() { a.ended("check listener", a.grpc.Serve(check)) })
	for i, server := range []*http.Server{a.admin, a.scraped}[:len(bound)-1] {
		name, l := []string{"admin", "metrics"}[i], bound[i+1]
		a.serving.Go(func() { a.ended(name+" listener", server.Serve(l)) })
		a.undo.add("close "+name+" listener", func(context.Context) error { return server.Close() })
		told = append(told, name, l.Addr().String())
	}
	a.undo.add("stop answering checks", a.stopChecks)
	a.log.Info("listening", told...)
	return nil
}

// bind binds all listeners, which nobody serves yet: who connects waits.
func (a *App) bind() (err error) {
	places := []place{{"listen.check", a.listen.Check}, {"listen.admin", a.listen.Admin}}
	if a.listen.Metrics != "" {
		places = append(places, place{"listen.metrics", a.listen.Metrics})
	}
	if a.bound, err = (binder{shared: a.shared != nil, takeOver: a.takeOver}).all(places); err != nil {
		return err
	}
	a.undo.add("close listeners", func(context.Context) error {
		if network, path := config.SplitAddress(a.listen.Check); network == "unix" && !a.listens {
			_ = os.Remove(path) // still this process's: nobody takes the place of one that listens
		}
		for _, l := range a.bound {
			_ = l.Close() // those that were served are closed
		}
		return nil
	})
	return nil
}

func (a *App) ended(what string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		a.failed <- fmt.Errorf("%s: %w", what, err)
	}
}

// stopChecks lets the Checks in flight finish. Envoy is told first, so that it
// asks another replica if there is one.
func (a *App) stopChecks(ctx context.Context) error {
	a.health.Shutdown()
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	defer context.AfterFunc(ctx, a.grpc.Stop)()
	a.grpc.GracefulStop()
	return nil
}

// Start runs the background work until Stop: finding the provider, the sweep,
// the flush of last uses.
func (a *App) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if a.shared != nil {
		lost := func(id session.ID) { running.Go(func() { a.restore(ctx, id) }) }
		running.Go(func() { a.shared.Run(ctx, a.cache.Changed, lost) })
	}
	running.Go(func() { a.life.Run(ctx) })
	party, swept := a.relying.Load(), a.cfg.Sweep.Enabled
	if a.source != nil {
		running.Go(func() { a.follow(ctx, a.source) })
	}
	running.Go(func() {
		if party.Run(ctx) == nil && a.Ready() == nil {
			a.setServing()
		}
		if swept { // not before: what nobody can be asked for is no failure of a session
			a.refresher.Run(ctx)
		}
	})
	a.undo.add("stop background work", func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	})
}

// Stop takes everything down, last first, until ctx is done.
func (a *App) Stop(ctx context.Context) error {
	err := a.undo.run(ctx)
	a.serving.Wait()
	return err
}

// begin is Listen and Start. Who takes over does so when Checks can be answered, and
// not before.
func (a *App) begin(ctx context.Context) error {
	if !a.takeOver {
		err := a.Listen()
		if err == nil {
			a.Start()
		}
		return err
	}
	a.Start()
	select {
	case <-a.ready:
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // perhaps both: who is about to end takes nothing
		return nil
	}
	return a.Listen()
}

// Run is Listen, Start, and Stop when ctx is done or a listener fails.
func (a *App) Run(ctx context.Context) error {
	err := a.begin(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
			a.log.Info("stopping")
		case err = <-a.failed:
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := errors.Join(err, a.Stop(grace)); err != nil {
		return err
	}
	a.log.Info("stopped")
	return nil
}
