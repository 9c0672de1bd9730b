package refresh

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
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
	Revoke(session.Session)                                 // in the background, best effort
	Active(since time.Time) (n int, meanLife time.Duration) // used since, and their mean access-token lifetime
}

// Options of New; all but Now are required.
type Options struct {
	Store    Store
	Provider TokenEndpoint
	Cache    Cache
	Sessions Sessions
	Policy   session.Policy
	Jitter   time.Duration // a request's flight waits up to this long before it begins
	Deadline time.Duration // of a flight, from before its first Begin
	Lease    time.Duration
	Owner    string // this process incarnation, unique
	Sweep    SweepOptions
	// MaxInFlight caps the token requests of this process, whoever asked.
	MaxInFlight int
	Log         *slog.Logger
	Metrics     *Metrics
	Now         func() time.Time // nil: time.Now; for clock-step tests
}

// Refresher is safe for concurrent use.
type Refresher struct {
	opts  Options
	slots chan struct{}
	pace  *rate.Limiter
	kick  chan struct{}

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
	o.Metrics.configuredRate.Set(float64(o.Sweep.Rate))
	return &Refresher{
		opts:     o,
		slots:    make(chan struct{}, o.MaxInFlight),
		pace:     rate.NewLimiter(rate.Limit(o.Sweep.Rate), 1),
		kick:     make(chan struct{}, 1),
		flights:  make(map[session.ID]*flight),
		stopping: make(chan struct{}),
	}
}

// Start sees to it that a flight for v's revision is under way; it never blocks.
func (r *Refresher) Start(v *session.View) { r.join(v) }

// Wait joins the session's flight and returns what it produced: the view with
// the new token, whatever its freshness; *session.RefreshError when the session
// lives on without one; session.ErrEnded; session.ErrUnavailable; or the cause
// of ctx, which leaves the flight alone.
func (r *Refresher) Wait(ctx context.Context, v *session.View) (*session.View, error) {
	f := r.join(v)
	select {
	case <-f.answered:
		return f.view, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join returns the session's flight, a new one if none is under way.
func (r *Refresher) join(v *session.View) *flight {
	id := v.Session.ID
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[id]; f != nil {
		r.opts.Metrics.coalesced.Inc()
		return f
	}
	f := newFlight(id, v.Session.Revision)
	if r.stopped {
		f.answer(nil, errStopping())
		return f
	}
	r.flights[id] = f
	r.running.Go(func() {
		defer r.leave(f)
		if r.queue(f) {
			r.fly(f, v, byRequest)
		}
	})
	return f
}

// queue waits out the jitter and takes a slot. Time spent here is no attempt
// and no failure; only Stop ends it.
func (r *Refresher) queue(f *flight) bool {
	jitter := time.Duration(0)
	if r.opts.Jitter > 0 {
		jitter = rand.N(r.opts.Jitter)
	}
	if r.idle(jitter) {
		select {
		case r.slots <- struct{}{}:
			return true
		case <-r.stopping:
		}
	}
	f.answer(nil, errStopping())
	return false
}

func errStopping() error {
	return fmt.Errorf("refresh session: stopping: %w", session.ErrUnavailable)
}

// leave takes f out of the map. By now its outcome is durable and published:
// whoever starts the next flight from an older view is told by Begin.
func (r *Refresher) leave(f *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.flights, f.id)
}

// Stop lets no new flight start and waits for those under way until ctx is
// done. Call it after Run's context is done.
func (r *Refresher) Stop(ctx context.Context) error {
	r.mu.Lock()
	if !r.stopped {
		r.stopped = true
		close(r.stopping)
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
