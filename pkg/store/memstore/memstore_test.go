package memstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/pkg/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{
		Open:    func(testing.TB) storetest.Full { return memstore.New() },
		Restart: func(_ testing.TB, old storetest.Full) storetest.Full { return old.(*memstore.Store).Restarted() },
	})
}

// The owner of an attempt in a shared store counts as alive until its lease has
// run out and its deadline and two seconds are over, whoever asks.
func TestSharedOwners(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                             string
		lease, deadline, extended, alive time.Duration
	}{
		{"the deadline is later", 3 * time.Second, 10 * time.Second, 0, 12 * time.Second},
		{"the lease is later", 20 * time.Second, 10 * time.Second, 0, 20 * time.Second},
		{"an extended lease", 3 * time.Second, time.Second, 9 * time.Second, 9 * time.Second},
		{"a lease extended by less than is left", 3 * time.Second, 10 * time.Second, time.Second, 12 * time.Second},
	} {
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		s, ctx := memstore.NewShared(func() time.Time { return now }), t.Context()
		first := session.Session{ID: session.NewHandle().ID(), Revision: 1, EndsAt: now.Add(time.Hour)}
		if err := s.Create(ctx, first); err != nil {
			t.Fatal(err)
		}
		begin := func(owner byte) error {
			_, a, err := s.Begin(ctx, first.ID, 1, store.Intent{
				AttemptID: store.AttemptID{owner}, Owner: string(owner), Lease: tt.lease, Deadline: tt.deadline,
			})
			if err == nil && tt.extended > 0 {
				err = s.Extend(ctx, a, tt.extended)
			}
			return err
		}
		if err := begin('a'); err != nil {
			t.Fatal(err)
		}
		now = now.Add(tt.alive - 1)
		if err := begin('b'); !errors.Is(err, session.ErrBusy) {
			t.Errorf("%s: just before the end of the owner: %v, want ErrBusy", tt.name, err)
		}
		now = now.Add(1)
		if err := begin('b'); err != nil {
			t.Errorf("%s: at its end: %v", tt.name, err)
		}
	}
}
