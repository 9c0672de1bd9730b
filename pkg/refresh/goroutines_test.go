package refresh_test

import (
	"bytes"
	"context"
	"runtime"
	"testing/synctest"
	"time"
)

// watchGoroutines expects never more than most of ours, and one for each waiter.
// It counts while everything is blocked, for the count to be exact, and so often
// that no POST goes by unseen.
func (r *rig) watchGoroutines(ctx context.Context, before, most int) {
	const every = 10 * time.Millisecond
	peak, peakWaiting := 0, 0
	time.Sleep(every / 3) // never the instant at which the test itself calls Wait
	for ctx.Err() == nil {
		time.Sleep(every)
		synctest.Wait()
		waiting := int(r.waiting.Load())
		ours := runtime.NumGoroutine() - before - waiting
		if ours > waiting+peak {
			ours = bubbled() - waiting
		}
		peak, peakWaiting = max(peak, ours-waiting), max(peakWaiting, waiting)
		if ours > waiting+most {
			r.t.Errorf("%d goroutines of ours with %d waiters, want at most %d more than waiters", ours, waiting, most)
			return
		}
	}
	r.t.Logf("at most %d goroutines beside one a waiter, at most %d waiters", peak, peakWaiting)
}

// bubbled counts the goroutines of bubbles in a stopped world. It is slow, and
// right where NumGoroutine is not: that one counts the dead, too, while the
// garbage collector takes their stacks.
func bubbled() int {
	for size := 1 << 20; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return bytes.Count(buf[:n], []byte(", synctest bubble "))
		}
	}
}
