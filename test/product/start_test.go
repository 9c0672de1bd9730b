package product

import (
	"strings"
	"testing"
	"time"
)

// A restart while the provider is not there: the sweep waits until it is found.
// What it could not ask for is no failure of a session, and keeps nobody waiting.
func TestTheSweepWaitsForDiscovery(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		b := w.login("ada")
		w.stop()
		time.Sleep(45 * time.Second) // due, and not expired
		w.line.down.Store(true)
		time.AfterFunc(5*time.Second, func() { w.line.down.Store(false) })
		w.start(w.store.Restarted())
		time.Sleep(time.Second)
		if said := w.log.String(); strings.Contains(said, "token refresh failed") {
			w.t.Errorf("a refresh failed before there was a provider:\n%s", said)
		}
		if got := w.refreshes(); got != 1 {
			w.t.Errorf("%d refreshes a second after the provider was found, want 1", got)
		}
		w.good(b.Fetch("/"), "after the restart")
		w.once()
	})
}
