package refresh

import (
	"context"
	"time"
)

// readWithin is how long an answer may still be read after the deadline. A process
// that was stopped and goes on finds its time over and an answer there, in either
// order; thrown away, the answer would be lost.
const readWithin = 250 * time.Millisecond

// budget is the time of one flight, which belongs to no caller. Its Deadline is that
// of whatever is begun under it; it is cancelled readWithin later.
type budget struct {
	context.Context
	until time.Time
}

func newBudget(d time.Duration) (budget, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	b := budget{ctx, time.Now().Add(d)}
	// Two timers, one after the other: of a process that was stopped, a single one
	// would be over at once.
	late := time.AfterFunc(d, func() { time.AfterFunc(readWithin, cancel) })
	return b, func() { late.Stop(); cancel() }
}

// Deadline implements context.Context.
func (b budget) Deadline() (time.Time, bool) { return b.until, true }

// over goes by the clock, not by a timer that may fire late: it is asked before a
// request is written.
func (b budget) over() bool { return b.Err() != nil || !time.Now().Before(b.until) }
