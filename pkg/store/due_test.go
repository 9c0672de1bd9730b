package store_test

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// A parked session that somebody else's attempt touches is still unused: it
// comes back by Touch or with a new revision, as Index.Due promises.
func TestDueIndexParkedStaysParked(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r := store.NewRecord(session.Session{
		ID: session.NewHandle().ID(), Revision: 1, CreatedAt: start, SweepAt: start.Add(time.Minute),
		Token: session.Token{Issued: start, Lifetime: time.Hour},
	})
	at := start.Add(30 * time.Minute)
	listed := func(x *store.DueIndex) bool {
		page, _ := x.Due(new(sync.Mutex), at, time.Time{}, 10)
		return len(page) == 1
	}
	for _, tt := range []struct {
		name string
		do   func(*store.DueIndex)
		want bool
	}{
		{"nothing", func(*store.DueIndex) {}, false},
		{"another due time", func(x *store.DueIndex) { r := r; r.DueAt = at; x.Put(r) }, false},
		{"a use", func(x *store.DueIndex) { x.Touch(r.Session.ID, at) }, true},
		{"another due time, then a use", func(x *store.DueIndex) { r := r; r.DueAt = at; x.Put(r); x.Touch(r.Session.ID, at) }, true},
		{"a revision", func(x *store.DueIndex) { r := r; r.Session.Revision++; x.Put(r) }, true},
	} {
		var x store.DueIndex
		x.Put(r)
		if !listed(&x) {
			t.Fatal("a new session is not due")
		}
		if page, _ := x.Due(new(sync.Mutex), at, at, 10); len(page) != 0 {
			t.Fatal("an unused session is not parked")
		}
		if tt.do(&x); listed(&x) != tt.want {
			t.Errorf("after %s: listed %v, want %v", tt.name, !tt.want, tt.want)
		}
	}
}

// crowded is an index of n sessions in use, the first due of which are due by
// morning, and of so many idle ones that have been overdue for longer.
func crowded(n, due, idle int) (x *store.DueIndex, morning, usedSince time.Time) {
	night := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	x, morning = new(store.DueIndex), night.Add(8*time.Hour)
	for i := range n + idle {
		s := session.Session{
			Revision: 1, CreatedAt: morning, SweepAt: morning.Add(-time.Duration(i) * time.Second),
			Token: session.Token{Issued: night, Lifetime: 24 * time.Hour},
		}
		binary.BigEndian.PutUint64(s.ID[:], uint64(i))
		switch {
		case i >= n:
			s.CreatedAt, s.SweepAt = night, night.Add(time.Duration(i%3600)*time.Second)
		case i >= due: // in no order
			s.SweepAt = morning.Add(time.Duration(1+i*7919%n) * time.Second)
		}
		x.Put(store.NewRecord(s))
	}
	return x, morning, morning.Add(-30 * time.Minute)
}

// A look at what is due costs what is due, not what there is; what is idle and
// overdue costs once.
func TestDueIndexLooksAtWhatIsDue(t *testing.T) {
	t.Parallel()
	const due = 300
	for name, of := range map[string]struct{ n, idle int }{
		"among 10,000":                     {10_000, 0},
		"among 100,000":                    {100_000, 0},
		"among 10,000 and 90,000 idle too": {10_000, 90_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, morning, usedSince := crowded(of.n, due, of.idle)
			page, next := x.Due(new(sync.Mutex), morning, usedSince, of.n)
			if len(page) != due || !next.After(morning) {
				t.Fatalf("%d entries and then %v, want %d and none that is due", len(page), next, due)
			}
			if n := x.Blind(morning); n > 2*due+1 {
				t.Errorf("what is due and what comes after it is %d entries of the queue", n)
			}
			if again, _ := x.Due(new(sync.Mutex), morning, usedSince, of.n); !slices.Equal(again, page) {
				t.Errorf("%d entries with the rest out of sight", len(again))
			}
		})
	}
}

// turns is a lock that counts how often it was taken.
type turns struct {
	sync.Mutex
	taken int
}

func (l *turns) Lock() { l.Mutex.Lock(); l.taken++ }

// Whoever wants the lock gets it while a night's idle sessions leave.
func TestDueIndexLetsOthersIn(t *testing.T) {
	t.Parallel()
	const due, idle = 300, 50_000
	x, morning, usedSince := crowded(1000, due, idle)
	var lock turns
	if page, _ := x.Due(&lock, morning, usedSince, 1000); len(page) != due {
		t.Fatalf("%d entries, want %d", len(page), due)
	}
	if want := idle/store.LeaveMost + 1; lock.taken != want {
		t.Errorf("the lock was taken %d times while %d entries left, want %d", lock.taken, idle, want)
	}
	lock.taken = 0
	if x.Due(&lock, morning, usedSince, 1000); lock.taken != 1 {
		t.Errorf("the lock was taken %d times with nothing to leave", lock.taken)
	}
}
