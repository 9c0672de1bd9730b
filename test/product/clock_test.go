package product

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/stack"
)

// The process goes by a clock of its own, which does not follow the wall clock
// when that is corrected: from then on both differ by the step. Whatever part
// still went by the wall clock would be an hour off.
func TestWallClockStepsWhileRunning(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, dir, options{life: 5 * time.Minute})
				w.clock.offset.Store(int64(-step))
				w.start(memstore.NewAt(w.clock.now))
				defer func() { w.stop(); w.op.Close() }()
				users := w.crowd(20)
				for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); time.Sleep(30 * time.Second) {
					for _, b := range users {
						if !w.accepted(b.Fetch("/").Bearer(t)) {
							t.Fatal("the app got a token that the provider refuses")
						}
					}
				}
				if got, ideal := w.refreshes(), 20*24; got < ideal || got > 2*ideal {
					t.Errorf("%d refreshes in two hours, want %d to %d", got, ideal, 2*ideal)
				}
				// Nobody asks for a quarter of an hour: the sweep knows what time it is, too.
				before := w.refreshes()
				time.Sleep(15 * time.Minute)
				if got, least, most := w.refreshes()-before, 20*3, 20*6; got < least || got > most {
					t.Errorf("%d refreshes in a quiet quarter of an hour, want %d to %d", got, least, most)
				}
				w.once()
			})
		})
	}
}

// The wall clock is corrected between a stop and a start. Nobody has to log in
// again, and the refreshes that it makes necessary keep to the cap.
func TestWallClockStepsWhileStopped(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: 5 * time.Minute, config: "sweep: {max_in_flight: 4}"}, func(w *world) {
				t := w.t
				users := w.crowd(40)
				time.Sleep(2 * time.Minute)
				w.stop()
				before := w.refreshes()
				time.Sleep(10 * time.Second)
				w.clock.offset.Store(int64(step))
				w.start(w.store.RestartedAt(w.clock.now))
				time.Sleep(time.Second)
				if got := w.refreshes() - before; got > 0 {
					t.Errorf("%d refreshes that nobody asked for", got)
				}
				for round := range 60 {
					for i, b := range users {
						a := b.Fetch("/")
						if a.Status != http.StatusOK || !w.accepted(a.Bearer(t)) {
							t.Fatalf("round %d, user %d: %v", round, i, a)
						}
					}
					time.Sleep(time.Minute)
				}
				if got, ideal := w.refreshes()-before, 40*12; got > 2*ideal {
					t.Errorf("%d refreshes in an hour, want at most %d", got, 2*ideal)
				}
				if l := w.op.Ledger(); l.Logins != len(users) {
					t.Errorf("%d logins for %d users", l.Logins, len(users))
				}
				w.once()
			})
		})
	}
}

// crowd logs n users in, one after the other.
func (w *world) crowd(n int) (users []*stack.Browser) {
	for i := range n {
		users = append(users, w.login(fmt.Sprintf("user%d", i)))
	}
	return users
}
