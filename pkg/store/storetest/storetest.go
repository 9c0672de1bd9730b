package storetest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/store"
)

// Full is the whole contract, one object.
type Full interface {
	store.Store
	store.Index
	store.Importer
}

// Backend says how to come by the store under test.
type Backend struct {
	// Open returns a new, empty store, and closes it by t.Cleanup.
	Open func(t testing.TB) Full
	// Restart returns another incarnation over the same durable state, as after
	// kill -9: nothing of old's memory may come along, and old is not used again.
	Restart func(t testing.TB, old Full) Full
	// Leased says that processes share the store: an attempt's owner is alive until
	// its lease has run out and its deadline is over by two seconds, and not for as
	// long as its incarnation lives. Restart outlasts the lease of the suite.
	Leased bool
	// Sleep lets time pass on the store's clock and on this process's. Nil is
	// time.Sleep: fake in the bubble that a nil Wrap gives to each subtest.
	Sleep func(time.Duration)
	// Wrap runs one subtest's body. Nil is synctest.Test.
	Wrap func(t *testing.T, body func(*testing.T))
}

// check is one promise.
type check struct {
	name string
	run  func(*probe)
}

// Run holds b to the contract, one parallel subtest a promise.
func Run(t *testing.T, b Backend) {
	t.Helper()
	wrap := b.Wrap
	if wrap == nil {
		wrap = synctest.Test
	}
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wrap(t, func(t *testing.T) { c.run(newProbe(t, b)) })
		})
	}
}

func checks() []check {
	return slices.Concat(
		createChecks(), getChecks(), beginChecks(), orderChecks(), commitChecks(), extendChecks(), failChecks(),
		endChecks(), dueChecks(), indexChecks(), historyChecks(), listChecks(), importChecks(), restartChecks(), errorChecks(), raceChecks(), walkChecks(),
	)
}
