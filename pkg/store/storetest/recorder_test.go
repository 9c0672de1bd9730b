package storetest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// recorder is a testing.TB that takes failures down instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

// stopped is what Fatalf panics with; record catches it. A check calls Fatalf
// from its own goroutine only, as testing demands.
type stopped struct{}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopped{})
}

// record runs one check in a bubble and returns its failures.
func record(t *testing.T, c check, b Backend) (failures []string) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		defer func() {
			if e := recover(); e != nil && e != any(stopped{}) {
				panic(e)
			}
			failures = r.failures
		}()
		c.run(newProbe(r, b))
	})
	return failures
}
