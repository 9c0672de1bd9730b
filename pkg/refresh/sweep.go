package refresh

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

const (
	wakeMin = 100 * time.Millisecond
	duePage = 256
)

// SweepOptions pace the background refresh.
type SweepOptions struct {
	CheckInterval time.Duration // longest time between two looks at the due index
	ActiveWithin  time.Duration // sessions unused for longer are parked
	UseLag        time.Duration // and so much later: the store comes to know of a use within it
	Rate          int           // starts a second
}

// Kick tells the sweep that the due index may have an earlier entry.
func (r *Refresher) Kick() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Run sweeps until ctx is done: it looks at the due index, starts a paced
// flight for each session that is due, and sleeps until the next one will be.
// Cost is O(due).
func (r *Refresher) Run(ctx context.Context) {
	var watching sync.WaitGroup
	watching.Go(func() { r.watchNeed(ctx) })
	defer watching.Wait()
	for ctx.Err() == nil {
		look := r.opts.Now()
		next := r.sweep(ctx)
		// A kick says that something changed, not that it is due: the floor keeps a
		// burst of logins from becoming a burst of looks.
		if !pause(ctx, wakeMin-r.opts.Now().Sub(look)) {
			return
		}
		d := r.sleepUntil(next)
		if d == 0 {
			continue
		}
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-r.kick:
		}
		t.Stop()
	}
}

// sleepUntil is how long to sleep for the earliest due time; zero: none is known.
func (r *Refresher) sleepUntil(next time.Time) time.Duration {
	if next.IsZero() {
		return r.settings().Sweep.CheckInterval
	}
	return max(0, min(r.settings().Sweep.CheckInterval, next.Sub(r.opts.Now())))
}

// sweep starts what is due now and returns the earliest due time that remains.
func (r *Refresher) sweep(ctx context.Context) (next time.Time) {
	now := r.opts.Now()
	if until, shut := r.gate.shut(now); shut {
		return until
	}
	used := r.settings().Sweep.ActiveWithin + r.settings().Sweep.UseLag
	page, next, err := r.opts.Store.Due(ctx, now, now.Add(-used), duePage)
	if ctx.Err() == nil {
		r.tellReading(err)
	}
	if err != nil {
		return now.Add(time.Second)
	}
	slices.SortFunc(page, func(a, b store.DueEntry) int { return a.Exp.Compare(b.Exp) })
	started := 0
	for _, e := range page {
		if r.underWay(e.ID) || e.Late(r.opts.Now()) { // before the pace: no turn is spent on what will not start
			continue
		}
		if until, shut := r.gate.shut(r.opts.Now()); shut {
			return until
		}
		if r.pace.Wait(ctx) != nil {
			return next
		}
		if r.startSwept(ctx, e) {
			started++
		}
	}
	if len(page) == 0 {
		return next
	}
	r.opts.Log.Debug("sweep started refreshes", "started", started, "due", len(page))
	// Whatever of the page could not begin is due still.
	if again := r.opts.Now().Add(time.Second); next.IsZero() || again.Before(next) {
		return again
	}
	return next
}

// tellReading says once that the due index cannot be read, and once that it can.
func (r *Refresher) tellReading(err error) {
	if blind := err != nil; blind != r.blind {
		r.blind = blind
		if blind {
			r.opts.Log.Warn("the sweep pauses: the due index cannot be read", "error", err)
		} else {
			r.opts.Log.Info("the sweep goes on: the due index can be read again")
		}
	}
}

// startSwept opens a flight with a slot already taken, so that a sweep never
// has more goroutines than slots. Its start is spread by SweepAt and paced, so
// it needs no jitter.
func (r *Refresher) startSwept(ctx context.Context, e store.DueEntry) bool {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.flights[e.ID] != nil || e.Late(now) {
		<-r.slots
		return false
	}
	r.opts.Metrics.sweepLag.Observe(now.Sub(e.DueAt).Seconds())
	f := newFlight(e.ID, bySweep)
	f.rev = e.Revision
	r.flights[e.ID] = f
	r.running.Go(func() {
		defer r.leave(f)
		r.fly(f, nil)
	})
	return true
}

func (r *Refresher) underWay(id session.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flights[id] != nil
}
