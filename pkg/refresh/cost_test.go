package refresh_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// TestSweepCost: three hundred that are due cost the store the same among ten
// thousand sessions, among ten times as many, and among nine times as many that
// are overdue and that nobody uses.
func TestSweepCost(t *testing.T) {
	t.Parallel()
	const due = 300
	var least map[faultstore.Op]int
	for _, of := range []struct {
		name        string
		users, idle int
	}{{"10,000", 10_000, 0}, {"100,000", 100_000, 0}, {"10,000 and 90,000 idle", 10_000, 90_000}} {
		t.Run(of.name, func(t *testing.T) {
			inBubble(t, setup{inFlight: due}, func(r *rig) {
				r.op.does(slow(2051*time.Millisecond, honest)) // no answer before the last start, nor at the instant of a look
				r.fill(of.users-due, of.idle)
				r.fillDue(due)
				before := r.calls()
				r.sweep()
				r.pass(time.Minute)
				cost := r.calls()
				for op, n := range before {
					cost[op] -= n
				}
				if least == nil {
					least = cost
				}
				if !maps.Equal(cost, least) {
					t.Errorf("the store was called %v, among 10,000 sessions %v", cost, least)
				}
				if n := len(r.op.ledger()); n != due || cost[faultstore.Get] != due || cost[faultstore.Begin] != due {
					t.Errorf("%d POSTs, want %d, and no other session read: %v", n, due, cost)
				}
			})
		})
	}
}

// fill puts sessions into the store that no sweep refreshes: so many in use, due
// in an hour, and so many idle ones that have been overdue for an hour.
func (r *rig) fill(users, idle int) {
	r.t.Helper()
	now := time.Now()
	token := func() session.Token { return session.Token{Issued: now, Lifetime: 4 * time.Hour} }
	r.put(users, now, now.Add(time.Hour), token)
	r.put(idle, now.Add(-time.Hour), now.Add(-time.Hour), token)
}

// fillDue puts n sessions in use into the store that are due now.
func (r *rig) fillDue(n int) []session.ID {
	r.t.Helper()
	now := time.Now()
	return r.put(n, now, now, func() session.Token { return r.op.issue(4 * time.Hour) })
}

func (r *rig) put(n int, used, due time.Time, token func() session.Token) []session.ID {
	r.t.Helper()
	ids := make([]session.ID, n)
	for i := range ids {
		ids[i] = session.NewHandle().ID()
		if err := r.mem.Create(context.Background(), session.Session{
			ID: ids[i], Revision: 1, App: "default", Provider: "https://op.example.com", Token: token(),
			CreatedAt: used, EndsAt: used.Add(8 * time.Hour), SweepAt: due,
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	return ids
}

// calls counts the store's so far, by method.
func (r *rig) calls() map[faultstore.Op]int {
	n := make(map[faultstore.Op]int)
	for _, op := range []faultstore.Op{
		faultstore.Create, faultstore.Get, faultstore.Begin, faultstore.Extend, faultstore.Commit, faultstore.Fail,
		faultstore.End, faultstore.Due, faultstore.Touch, faultstore.Find, faultstore.Lookup, faultstore.Reap,
	} {
		n[op] = r.store.Calls(op)
	}
	return n
}
