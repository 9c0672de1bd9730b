package store_test

import (
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
		page, _ := x.Due(at, time.Time{}, 10)
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
		if page, _ := x.Due(at, at, 10); len(page) != 0 {
			t.Fatal("an unused session is not parked")
		}
		if tt.do(&x); listed(&x) != tt.want {
			t.Errorf("after %s: listed %v, want %v", tt.name, !tt.want, tt.want)
		}
	}
}
