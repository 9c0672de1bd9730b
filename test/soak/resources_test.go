//go:build soak

package soak

import (
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// resources is what a process holds.
type resources struct{ goroutines, files, heap float64 }

func held(l *stack.Lamplighter) resources {
	return resources{l.Metric("go_goroutines"), l.Metric("process_open_fds"), l.Metric("go_memstats_heap_alloc_bytes")}
}

// measure is the most that the process holds within two seconds.
func measure(t *testing.T, l *stack.Lamplighter) (most resources) {
	t.Helper()
	for range 20 {
		r := held(l)
		most = resources{max(most.goroutines, r.goroutines), max(most.files, r.files), max(most.heap, r.heap)}
		time.Sleep(100 * time.Millisecond)
	}
	return most
}

// again fails if the process does not come back to r: to 50 goroutines and 50
// files more, for connections that may be open, and to twice the heap and 16 MiB
// at some time after a collection, of which Go makes one in two minutes.
func (r resources) again(t *testing.T, l *stack.Lamplighter) {
	t.Helper()
	most := resources{r.goroutines + 50, r.files + 50, 2*r.heap + 16<<20}
	least := held(l)
	for deadline := time.Now().Add(150 * time.Second); least.goroutines > most.goroutines || least.files > most.files || least.heap > most.heap; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("lamplighter holds %+v, before the traffic %+v", least, r)
			return
		}
		now := held(l)
		least = resources{min(least.goroutines, now.goroutines), min(least.files, now.files), min(least.heap, now.heap)}
	}
	t.Logf("lamplighter held %+v before the traffic and holds %+v", r, least)
}
