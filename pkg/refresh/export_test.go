package refresh

import (
	"context"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// EffectOf is effectOf with its parts apart.
func EffectOf(p session.Profile, ans session.Answer, a store.Attempt, w session.Window, now time.Time, wait time.Duration) (session.Reason, session.Failure) {
	e := effectOf(p, ans, a, w, now, wait)
	return e.end, e.failure
}

// ReplayAt is replayAt.
func ReplayAt(p session.Profile, w session.Window, now time.Time, wait time.Duration, again bool) time.Time {
	return replayAt(p, w, now, wait, again)
}

// Backoff is backoff.
func Backoff(k int, now, exp time.Time) time.Duration { return backoff(k, now, exp) }

// BackoffBound is backoffBound.
func BackoffBound(k int, now, exp time.Time) time.Duration { return backoffBound(k, now, exp) }

// NeededRate is neededRate.
func NeededRate(n int, life time.Duration, p session.Policy) float64 { return neededRate(n, life, p) }

// UnderWay counts the flights in the map.
func (r *Refresher) UnderWay() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.flights)
}

// SlotsTaken counts the slots under the in-flight cap that are held.
func (r *Refresher) SlotsTaken() int { return len(r.slots) }

// SweepDue sweeps until nothing is due and all flights have landed.
func (r *Refresher) SweepDue(ctx context.Context) {
	for due := true; due; {
		next := r.sweep(ctx)
		r.running.Wait()
		due = !next.IsZero() && !next.After(r.opts.Now())
	}
}
