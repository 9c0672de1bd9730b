//go:build !linux

package app

import "time"

// bootClock is the runtime's monotonic clock, which may stand still while the
// machine sleeps.
func bootClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
