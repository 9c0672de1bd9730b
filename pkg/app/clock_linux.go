package app

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootClock runs on while the machine sleeps, and no step of the wall clock
// moves it.
func bootClock() func() time.Duration {
	return func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail: Linux has had it since 2.6.39
		return time.Duration(t.Nano())
	}
}
