package stack

import (
	"testing"
	"time"
)

// Resources is what a process holds.
type Resources struct{ Goroutines, Files, Heap float64 }

// Resources is what lamplighter holds now, by its own word.
func (l *Lamplighter) Resources() Resources {
	l.t.Helper()
	return Resources{l.Metric("go_goroutines"), l.Metric("process_open_fds"), l.Metric("go_memstats_heap_alloc_bytes")}
}

// MostResources is the most that lamplighter holds within two seconds.
func (l *Lamplighter) MostResources() (most Resources) {
	l.t.Helper()
	for range 20 {
		r := l.Resources()
		most = Resources{max(most.Goroutines, r.Goroutines), max(most.Files, r.Files), max(most.Heap, r.Heap)}
		time.Sleep(100 * time.Millisecond)
	}
	return most
}

// What a process may hold more than before: connections that happen to be open,
// with two goroutines each, and what is on the heap between two collections.
const (
	moreGoroutines = 50
	moreFiles      = 25
	moreHeap       = 16 << 20 // beside twice of what there was
)

// BackTo waits until lamplighter holds no more than it did, but for what a busy
// process holds now and then, and fails the test if that does not come. Go
// collects once in two minutes even if nothing is allocated.
func (l *Lamplighter) BackTo(t testing.TB, before Resources) {
	t.Helper()
	most := Resources{before.Goroutines + moreGoroutines, before.Files + moreFiles, 2*before.Heap + moreHeap}
	least := l.Resources()
	for deadline := time.Now().Add(150 * time.Second); least.Goroutines > most.Goroutines || least.Files > most.Files || least.Heap > most.Heap; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("lamplighter holds %+v, and held %+v", least, before)
			return
		}
		now := l.Resources()
		least = Resources{min(least.Goroutines, now.Goroutines), min(least.Files, now.Files), min(least.Heap, now.Heap)}
	}
	t.Logf("lamplighter held %+v, and holds %+v", before, least)
}
