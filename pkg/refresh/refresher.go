package refresh

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"golang.org/x/time/rate"
)

// Store is the store of record with its due index.
type Store interface {
	store.Store
	Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error)
}

// TokenEndpoint makes one refresh request (RFC 6749 section 6). It never makes
// two, and it keeps to ctx's deadline.
type TokenEndpoint interface {
	Refresh(ctx context.Context, s session.Session) session.Answer
}

// Cache is what readers see; implemented by sessioncache.
type Cache interface {
	Publish(store.Record) *session.View
	Forget(session.ID)
}

// Sessions ends sessions; implemented by lifecycle.
type Sessions interface {
	EndIf(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error)
	Revoke(session.Session) // in the background, best effort
	// Active counts the sessions used since, with the mean and the shortest life of
	// their access tokens.
	Active(since time.Time) (n int, mean, least time.Duration)
}

// Options of New; all but Now are required.
type Options struct {
	Store    Store
	Provider TokenEndpoint
	Cache    Cache
	Sessions Sessions
	Owner    string // this process incarnation, unique
	Settings
	// MaxInFlight caps the token requests of this process, whoever asked.
	MaxInFlight int
	Log         *slog.Logger
	Metrics     *Metrics
	Now         func() time.Time // nil: time.Now; for clock-step tests
}

// Settings are what [Refresher.Configure] may change.
type Settings struct {
	Profile  session.Profile // of the provider
	Policy   session.Policy
	Jitter   time.Duration // a request's flight waits up to this long before it begins
	Deadline time.Duration // of a flight, from before its first Begin
	Lease    time.Duration
	Sweep    SweepOptions
}

// Refresher is safe for concurrent use.
type Refresher struct {
	opts  Options
	now   atomic.Pointer[Settings]
	slots chan struct{}
	gate  *gate
	pace  *rate.Limiter
	kick  chan struct{}
	fit   fit  // the sweep's
	blind bool // the sweep's: the due index could not be read

	mu       sync.Mutex
	flights  map[session.ID]*flight
	stopped  bool
	running  sync.WaitGroup
	stopping chan struct{} // closed by Stop
}

// New returns a Refresher. Run sweeps; Stop ends it.
func New(o Options) *Refresher {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Refresher{
		opts:     o,
		slots:    make(chan struct{}, o.MaxInFlight),
		gate:     newGate(o.Now, o.Log, o.Metrics),
		pace:     rate.NewLimiter(0, 1),
		kick:     make(chan struct{}, 1),
		flights:  make(map[session.ID]*flight),
		stopping: make(chan struct{}),
	}
	r.Configure(o.Settings)
	return r
}

// Configure is for what begins from now on; what is under way may go by the old
// settings or the new.
func (r *Refresher) Configure(s Settings) {
	r.now.Store(&s)
	r.pace.SetLimit(rate.Limit(s.Sweep.Rate))
	r.opts.Metrics.configuredRate.Set(float64(s.Sweep.Rate))
	r.Kick()
}

func (r *Refresher) settings() *Settings { return r.now.Load() }

// Start sees to it that a flight for v's revision is under way; it never blocks.
// While all slots are taken it does nothing: a later request, or the sweep,
// will ask again, and nobody is kept waiting by this one.
func (r *Refresher) Start(v *session.View) { r.join(v.Session.ID, v, byRequest, 0) }

// Wait joins the session's flight and returns what it produced: the view with
// the new token, whatever its freshness; *session.RefreshError when the session
// lives on without one; session.ErrEnded; session.ErrUnavailable; or the cause
// of ctx, which leaves the flight alone.
func (r *Refresher) Wait(ctx context.Context, v *session.View) (*session.View, error) {
	return r.wait(ctx, r.join(v.Session.ID, v, byRequest, 1))
}

// Force refreshes a session because an operator asks, back-off or not, and
// returns as Wait does. It makes no second request for a token that is just
// new, and passes neither a doubt nor a provider that is down.
func (r *Refresher) Force(ctx context.Context, id session.ID) (*session.View, error) {
	return r.wait(ctx, r.join(id, nil, byOperator, 1))
}

func (r *Refresher) wait(ctx context.Context, f *flight) (*session.View, error) {
	defer r.part(f)
	select {
	case <-f.answered:
		return f.view, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join returns the session's flight, a new one if none is under way, with so
// many waiters more. One that cannot be is returned with its refusal.
func (r *Refresher) join(id session.ID, v *session.View, by string, waiters int) *flight {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[id]; f != nil {
		r.opts.Metrics.coalesced.Inc()
		if f.stale(now) {
			return refused(id, r.notNow())
		}
		f.waiters += waiters
		return f
	}
	if r.stopped {
		return refused(id, errStopping())
	}
	if until, shut := r.gate.shut(now); shut {
		return refused(id, paused(until))
	}
	f := newFlight(id, by)
	if v != nil {
		f.rev = v.Session.Revision
	}
	f.waiters = waiters
	r.flights[id] = f
	r.running.Add(1)
	begin := func() {
		defer r.running.Done()
		defer r.leave(f)
		if r.queue(f) {
			r.fly(f, v)
		}
	}
	if d := r.jitter(); d > 0 {
		f.jitter = time.AfterFunc(d, begin) // no goroutine until then
	} else {
		go begin()
	}
	return f
}

func (r *Refresher) jitter() time.Duration {
	if d := r.settings().Jitter; d > 0 {
		return rand.N(d)
	}
	return 0
}

// queue takes a slot. Time spent here is no attempt and no failure. Who waits
// for a slot waits for somebody: when the last waiter has gone, the flight that
// has not begun goes too, so that there are never more of them than callers.
func (r *Refresher) queue(f *flight) bool {
	select {
	case <-r.stopping:
		f.answer(nil, errStopping())
		return false
	default:
	}
	if r.take() {
		return true
	}
	r.mu.Lock()
	if f.queued = f.waiters > 0; !f.queued {
		delete(r.flights, f.id)
		r.mu.Unlock()
		return false
	}
	r.mu.Unlock()
	select {
	case r.slots <- struct{}{}:
		r.mu.Lock()
		defer r.mu.Unlock()
		f.queued = false
		if r.flights[f.id] == f {
			return true
		}
		<-r.slots // the last waiter left in the same instant
	case <-f.deserted:
	case <-r.stopping:
		f.answer(nil, errStopping())
	}
	return false
}

// part takes a waiter off f.
func (r *Refresher) part(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.waiters--
	if f.waiters == 0 && f.queued {
		f.queued = false
		delete(r.flights, f.id)
		close(f.deserted)
	}
}

func errStopping() error {
	return fmt.Errorf("refresh session: stopping: %w", session.ErrUnavailable)
}

// leave takes f out of the map. By now its outcome is durable and published:
// whoever starts the next flight from an older view is told by Begin.
func (r *Refresher) leave(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flights[f.id] == f {
		delete(r.flights, f.id)
	}
}

// Stop lets no new flight start and waits for those under way until ctx is
// done. Call it after Run's context is done.
func (r *Refresher) Stop(ctx context.Context) error {
	r.mu.Lock()
	if !r.stopped {
		r.stopped = true
		close(r.stopping)
		for id, f := range r.flights {
			if f.jitter != nil && f.jitter.Stop() {
				delete(r.flights, id)
				f.answer(nil, errStopping())
				r.running.Done()
			}
		}
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() { r.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for refreshes under way: %w", context.Cause(ctx))
	}
}
