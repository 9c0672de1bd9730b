package schedules

import (
	"context"
	"fmt"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// verdict is what the schedule does with a held step.
type verdict string

const (
	pass  verdict = "pass"
	lose  verdict = "lose"  // it takes effect, its reply is lost
	twice verdict = "twice" // it is made again with the same arguments
	drop  verdict = "drop"  // a request that is lost on its way
	busy  verdict = "busy"  // the provider asks to come back
	late  verdict = "late"  // nobody waited for it any more
	gone  verdict = "gone"  // its process is
)

// held is a step that waits for the schedule.
type held struct {
	engine   *engine
	what     string
	verdicts []verdict // that are possible, the ordinary one first
	since    int       // number of the choice before it came
	release  chan verdict
}

func (h *held) String() string { return fmt.Sprintf("%s of %s", h.what, h.engine.name()) }

// hold waits for the schedule's verdict on a step, for no longer than ctx.
func (e *engine) hold(ctx context.Context, what string, verdicts ...verdict) verdict {
	w := e.world
	w.mu.Lock()
	switch {
	case e.dead:
		w.mu.Unlock()
		return gone
	case w.mended:
		w.mu.Unlock()
		return pass
	}
	h := &held{engine: e, what: what, verdicts: append([]verdict{pass}, verdicts...), since: w.choices, release: make(chan verdict, 1)}
	w.held = append(w.held, h)
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
	select {
	case v := <-h.release:
		return v
	case <-ctx.Done():
	}
	w.mu.Lock()
	v := late
	select {
	case v = <-h.release:
	default:
		w.forget(h)
	}
	w.mu.Unlock()
	e.awake() // a process that is stopped does not see its own deadline
	return v
}

// awake waits until e is not paused.
func (e *engine) awake() {
	e.world.mu.Lock()
	paused := e.paused
	e.world.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

func (w *world) forget(h *held) {
	for i := range w.held {
		if w.held[i] == h {
			w.held = append(w.held[:i], w.held[i+1:]...)
			return
		}
	}
}

// let gives the verdict on h.
func (w *world) let(h *held, v verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(h)
	h.release <- v
}

var errDown = fmt.Errorf("%w: as the schedule wants it", session.ErrUnavailable)
