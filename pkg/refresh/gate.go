package refresh

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/sony/gobreaker/v2"
)

const (
	tripAfter = 10              // failures in a row close the gate
	probeEach = 5 * time.Second // then one request finds out whether the provider is back
	maxHold   = 5 * time.Minute // longest Retry-After that is kept to
)

// What a request tells the breaker; it reads no more of an error.
var (
	errTrouble   = errors.New("provider did not answer, or asked to come back")
	errNoRequest = errors.New("no request was made")
)

// gate stands before the provider, for requests, sweep and operator alike. It is
// shut while the provider fails every request (a circuit breaker), and for as
// long as the provider asks by Retry-After.
type gate struct {
	now     func() time.Time
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu        sync.Mutex
	until     time.Time // shut before
	recovered bool      // since last asked
}

func newGate(now func() time.Time, log *slog.Logger, m *Metrics) *gate {
	g := &gate{now: now}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     probeEach,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoRequest) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			g.mu.Lock()
			defer g.mu.Unlock()
			switch {
			case to == gobreaker.StateOpen:
				g.until = session.Later(g.until, g.now().Add(probeEach+time.Millisecond)) // the breaker is open until after its own instant
				m.gateShut.Set(1)
				if from == gobreaker.StateClosed {
					log.Warn("the provider fails, token refreshes pause but for one probe at a time", "failures", tripAfter, "probe_every", probeEach)
				}
			case to == gobreaker.StateClosed:
				g.recovered = true
				m.gateShut.Set(0)
				log.Info("the provider answers again, token refreshes resume")
			}
		},
	})
	return g
}

// shut tells whether no request may be made at now, and when to ask again.
func (g *gate) shut(now time.Time) (until time.Time, shut bool) {
	g.mu.Lock()
	until = g.until
	g.mu.Unlock()
	if now.Before(until) {
		return until, true
	}
	if g.breaker.State() != gobreaker.StateHalfOpen {
		return time.Time{}, false
	}
	c := g.breaker.Counts()
	return now.Add(time.Second), c.Requests > c.TotalExclusions // the probe is under way
}

// permit is the right to make one request; what came of it is told once.
type permit struct {
	once sync.Once
	done func(error)
}

func (p *permit) tell(err error) { p.once.Do(func() { p.done(err) }) }

// enter gives a permit, or the time when to ask again.
func (g *gate) enter(now time.Time) (p *permit, until time.Time) {
	until, shut := g.shut(now)
	if shut {
		return nil, until
	}
	done, err := g.breaker.Allow()
	if err != nil {
		return nil, session.Later(until, now.Add(time.Second))
	}
	return &permit{done: done}, time.Time{}
}

// learn takes note of an answer, and tells whether it ends an outage.
func (g *gate) learn(p *permit, ans session.Answer) (recovered bool) {
	var trouble error
	if ans.Class == session.Transient || ans.Class == session.Unknown {
		trouble = errTrouble
	}
	p.tell(trouble)
	g.mu.Lock()
	defer g.mu.Unlock()
	if trouble != nil && ans.RetryAfter > 0 {
		g.until = session.Later(g.until, g.now().Add(min(ans.RetryAfter, maxHold)))
	}
	recovered, g.recovered = g.recovered, false
	return recovered
}

const rampStep = 2 * time.Second

// ramp keeps a provider that has just come back from being met by everybody at
// once: it takes all free slots, and gives them back so that twice as many are in
// use every rampStep. The caller still holds the one that is in use until then.
// Two ramps at a time do no harm.
func (r *Refresher) ramp() {
	held := 0
	for held < cap(r.slots)-1 && r.take() {
		held++
	}
	r.running.Go(func() { // called by a flight, which running counts
		for free := 1; held > 0; free *= 2 {
			if !r.idle(rampStep) {
				free = held
			}
			for range min(free, held) {
				<-r.slots
				held--
			}
		}
	})
}

// take takes a slot if one is free.
func (r *Refresher) take() bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
		return false
	}
}
