package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
)

// quirky is a memstore some of whose records cannot be read or written, or that is down.
type quirky struct {
	*memstore.Store
	mu         sync.Mutex
	unreadable map[session.ID]bool
	reads      int // 0: as many as one likes
	writes     int
}

func (q *quirky) Get(ctx context.Context, id session.ID) (store.Record, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.unreadable[id] {
		return store.Record{}, fmt.Errorf("decode: %w", store.ErrUnreadable)
	}
	if q.reads--; q.reads == 0 {
		q.reads = 1
		return store.Record{}, fmt.Errorf("read: %w", session.ErrUnavailable)
	}
	return q.Store.Get(ctx, id)
}

func (q *quirky) Import(ctx context.Context, r store.Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writes--; q.writes == 0 {
		q.writes = 1
		return fmt.Errorf("write: %w", session.ErrUnavailable)
	}
	return q.Store.Import(ctx, r)
}

// settled is a store of n sessions, of which every tenth has ended and every
// seventh has a refresh under way.
func settled(t *testing.T, n int) (*quirky, []session.ID) {
	t.Helper()
	q := &quirky{Store: memstore.New(), unreadable: make(map[session.ID]bool)}
	var ids []session.ID
	for i := range n {
		now := time.Now()
		s := session.Session{
			ID: session.NewHandle().ID(), Revision: 1, App: "a", Provider: "p", Identity: session.Identity{Subject: fmt.Sprint(i)},
			Token:     session.Token{Refresh: session.RefreshToken{Secret: session.NewSecret(fmt.Sprint("r", i))}, Issued: now, Lifetime: time.Minute},
			CreatedAt: now, EndsAt: now.Add(time.Hour), SweepAt: now.Add(40 * time.Second),
		}
		err := q.Create(t.Context(), s)
		if i%7 == 0 {
			_, _, begun := q.Begin(t.Context(), s.ID, 1, store.Intent{AttemptID: store.AttemptID{byte(i)}, Owner: "o", ReplayAt: now.Add(time.Minute)})
			err = errors.Join(err, begun)
		}
		if i%10 == 0 {
			_, ended := q.End(t.Context(), s.ID, session.ReasonLogout, store.Cond{})
			err = errors.Join(err, ended)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	return q, ids
}

// copied is what a copy comes to, with the names of those left out.
func copied(t *testing.T, from store.Source, to store.Importer) (done store.Copied, left []session.ID, err error) {
	t.Helper()
	told := store.Copied{}
	done, err = store.Copy(t.Context(), from, to, store.Watch{
		Progress:   func(c store.Copied) { told = c },
		Unreadable: func(id session.ID, why error) { left = append(left, id) },
	})
	if told != done {
		t.Errorf("the last that was told is %+v of %+v", told, done)
	}
	return done, left, err
}

const many = 3000 // some pages

func TestCopy(t *testing.T) {
	t.Parallel()
	from, ids := settled(t, many)
	to := memstore.New()
	want := store.Copied{Sessions: many - many/10, Ended: many / 10, InDoubt: (many + 6) / 7}
	for i := 0; i < many; i += 70 {
		want.InDoubt-- // it has ended
	}
	if done, left, err := copied(t, from, to); err != nil || len(left) > 0 || done != want {
		t.Errorf("%+v, %v, %v, want %+v", done, left, err, want)
	}
	for i, id := range ids {
		r, err := to.Get(t.Context(), id)
		switch {
		case i%10 == 0:
			if !errors.Is(err, session.ErrEnded) {
				t.Fatalf("session %d: %v, want that it has ended", i, err)
			}
		case err != nil || r.Session.Identity.Subject != fmt.Sprint(i) || r.InDoubt != (i%7 == 0) || r.Attempt != nil:
			t.Fatalf("session %d: %+v, %v", i, r, err)
		}
	}
	if done, _, err := copied(t, from, to); err != nil || done != (store.Copied{There: many}) {
		t.Errorf("again: %+v, %v", done, err)
	}
}

func TestCopyLeavesOutWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	from, ids := settled(t, 50)
	from.unreadable[ids[20]], from.unreadable[ids[21]] = true, true // the first has ended
	done, left, err := copied(t, from, memstore.New())
	if err != nil || done.Unreadable != 2 || done.Sessions+done.Ended != 48 || len(left) != 2 {
		t.Errorf("%+v, %v, %v", done, left, err)
	}
}

// What the copy meets on either side ends it; made again, it goes on.
func TestCopyMeetsTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		trouble  func(from, to *quirky)
		mended   func(from, to *quirky)
		says     string
		progress int // at least
	}{
		{"the first store goes down", func(from, _ *quirky) { from.reads = 1500 }, func(from, _ *quirky) { from.reads = 0 }, "read session", 900},
		{"the second store goes down", func(_, to *quirky) { to.writes = 1500 }, func(_, to *quirky) { to.writes = 0 }, "write session", 900},
	} {
		from, _ := settled(t, many)
		to := &quirky{Store: memstore.New()}
		tt.trouble(from, to)
		done, left, err := copied(t, from, to)
		if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), tt.says) || done.Sessions < tt.progress || done.Sessions+done.Ended >= many || len(left) > 0 {
			t.Errorf("%s: %+v, %v, %v", tt.name, done, left, err)
		}
		tt.mended(from, to)
		if again, _, err := copied(t, from, to); err != nil || again.There < done.Sessions+done.Ended || again.Sessions+again.Ended+again.There != many {
			t.Errorf("%s, and again: %+v after %+v, %v", tt.name, again, done, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	from, _ := settled(t, 5)
	if _, err := store.Copy(ctx, from, memstore.New(), store.Watch{}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("cut off: %v", err)
	}
}

// A session that was refreshed, or logged out, where it came from after a first copy.
func TestCopyAgainBringsWhatIsNewer(t *testing.T) {
	t.Parallel()
	from, ids := settled(t, 10)
	to := memstore.New()
	if _, _, err := copied(t, from, to); err != nil {
		t.Fatal(err)
	}
	_, a, err := from.Begin(t.Context(), ids[1], 1, store.Intent{AttemptID: store.AttemptID{99}, Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	next := session.Session{ID: ids[1], Revision: 2, EndsAt: time.Now().Add(time.Hour)}
	if err := from.Commit(t.Context(), a, next); err != nil {
		t.Fatal(err)
	}
	if _, err := from.End(t.Context(), ids[2], session.ReasonLogout, store.Cond{}); err != nil {
		t.Fatal(err)
	}
	if done, _, err := copied(t, from, to); err != nil || done != (store.Copied{Sessions: 1, Ended: 1, There: 8}) {
		t.Errorf("%+v, %v", done, err)
	}
	if r, err := to.Get(t.Context(), ids[1]); err != nil || r.Session.Revision != 2 {
		t.Errorf("revision %d, %v", r.Session.Revision, err)
	}
	if _, err := to.Get(t.Context(), ids[2]); !errors.Is(err, session.ErrEnded) {
		t.Errorf("%v, want that it has ended", err)
	}
}
