package app

import "time"

// SteadyClock tells wall time that does not step: it takes the wall clock once
// and goes on by the time since boot. A wall clock that is corrected by an hour
// would otherwise end every session as idle, or serve expired tokens for an
// hour. What a step changes, the next start takes over.
func SteadyClock() func() time.Time { return steady(time.Now, bootClock()) }

// steady is wall, now, and elapsed since.
func steady(wall func() time.Time, elapsed func() time.Duration) func() time.Time {
	start, then := wall().Round(0), elapsed() // without a monotonic reading, which may differ from elapsed
	return func() time.Time { return start.Add(elapsed() - then) }
}
