package boltstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/logbook"
)

// rig is a store whose writes queue up until resume.
type rig struct {
	*testing.T
	*boltstore.Store
	log    logbook.Book
	start  func()
	calls  sync.WaitGroup
	before int // transactions
}

func paused(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t}
	var err error
	r.Store, r.start, err = boltstore.OpenPaused(boltstore.Options{
		Path: filepath.Join(t.TempDir(), "s.db"), Keys: ring(t, keyLine("k1")), Log: logger(&r.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.before = r.transactions()
	return r
}

// queue makes a call that writes, and returns when it is queued.
func (r *rig) queue(call func()) {
	r.Helper()
	n := r.Queued()
	r.calls.Go(call)
	for r.Queued() == n {
		runtime.Gosched()
	}
}

// resume starts the committer and waits for the calls.
func (r *rig) resume() {
	r.Helper()
	r.start()
	r.Cleanup(func() {
		if err := r.Close(); err != nil {
			r.Error(err)
		}
	})
	r.calls.Wait()
}

func (r *rig) transactions() int {
	r.Helper()
	n, err := r.Transactions()
	if err != nil {
		r.Fatal(err)
	}
	return n
}

// wrote expects n transactions since the last time.
func (r *rig) wrote(what string, n int) {
	r.Helper()
	now := r.transactions()
	if now-r.before != n {
		r.Errorf("%s: %d transactions, want %d", what, now-r.before, n)
	}
	r.before = now
}

func (r *rig) is(what string, err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func TestWhateverIsQueuedSharesATransaction(t *testing.T) {
	t.Parallel()
	r := paused(t)
	all := make([]session.Session, 64)
	for i := range all {
		all[i] = newSession("x")
		r.queue(func() { r.is("Create", r.Create(t.Context(), all[i]), nil) })
	}
	r.resume()
	r.wrote("64 Creates at once", 1)
	for _, a := range all {
		_, err := r.Get(t.Context(), a.ID)
		r.is("Get", err, nil)
	}
}

// One write's refusal is not the others', and each sees what those before it in
// the same transaction did.
func TestWritesOfATransactionAreInOrder(t *testing.T) {
	t.Parallel()
	r := paused(t)
	a, b, in := newSession("a"), newSession("b"), store.Intent{AttemptID: store.AttemptID{1}, Owner: "me"}
	r.queue(func() { r.is("Create", r.Create(t.Context(), a), nil) })
	r.queue(func() { r.is("Create again", r.Create(t.Context(), a), session.ErrExists) })
	r.queue(func() {
		_, _, err := r.Begin(t.Context(), a.ID, 1, in)
		r.is("Begin", err, nil)
	})
	r.queue(func() {
		rec, _, err := r.Begin(t.Context(), a.ID, 1, store.Intent{AttemptID: store.AttemptID{2}, Owner: "me"})
		r.is("Begin of another", err, session.ErrBusy)
		if rec.Attempt == nil || rec.Attempt.ID != in.AttemptID {
			r.Errorf("busy with %v", rec.Attempt)
		}
	})
	r.queue(func() {
		given := store.Attempt{ID: in.AttemptID, SessionID: a.ID}
		r.is("Fail", r.Fail(t.Context(), given, session.Failure{Class: session.Transient}), nil)
	})
	r.queue(func() { r.is("Create of another", r.Create(t.Context(), b), nil) })
	r.resume()
	r.wrote("all of it", 1)
	if rec, err := r.Get(t.Context(), a.ID); err != nil || rec.Attempt != nil || rec.Failures != 1 {
		t.Errorf("got %+v, %v; want a closed attempt", rec, err)
	}
}

func TestACallerThatLeavesTheQueueHasNoEffect(t *testing.T) {
	t.Parallel()
	r := paused(t)
	ctx, leave := context.WithCancel(t.Context())
	gone, stays := newSession("gone"), newSession("stays")
	left := make(chan struct{})
	r.queue(func() {
		defer close(left)
		r.is("Create", r.Create(ctx, gone), session.ErrUnavailable)
	})
	r.queue(func() { r.is("Create behind it", r.Create(t.Context(), stays), nil) })
	leave()
	<-left
	r.resume()
	_, err := r.Get(t.Context(), gone.ID)
	r.is("Get of what was given up", err, session.ErrNotFound)
}

// A page that bbolt cannot stand, or cannot read, undoes the transaction. The
// process lives, and so does the store.
func TestABrokenTransactionIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*boltstore.Store, context.Context) error{
		"panic": (*boltstore.Store).Panic, "error": (*boltstore.Store).Break,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := paused(t)
			a := newSession("a")
			r.queue(func() { r.is("Create before", r.Create(t.Context(), a), session.ErrUnavailable) })
			r.queue(func() { r.is("the broken write", breaks(r.Store, t.Context()), session.ErrUnavailable) })
			r.queue(func() { r.is("Create after", r.Create(t.Context(), newSession("b")), session.ErrUnavailable) })
			r.resume()
			r.wrote("nothing", 0)
			r.is("broken again", breaks(r.Store, t.Context()), session.ErrUnavailable)
			_, err := r.Get(t.Context(), a.ID)
			r.is("Get", err, session.ErrNotFound)
			r.is("Reap", second(r.Reap(t.Context(), a.EndsAt, a.EndsAt, 9)), nil)
			if ids, _ := r.Reap(t.Context(), a.EndsAt, a.EndsAt, 9); len(ids) > 0 {
				t.Errorf("the index knows of %v, which was not written", ids)
			}
			r.is("Create again", r.Create(t.Context(), a), nil)
			for _, line := range []string{"could not be written", "can be written again"} {
				if n := strings.Count(r.log.String(), line); n != 1 {
					t.Errorf("the log says %d times that the store %s, want once: %s", n, line, r.log.String())
				}
			}
		})
	}
}

func second(_ []session.ID, err error) error { return err }

// Asking costs no fsync.
func TestWhatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	r := paused(t)
	r.resume()
	a, ended, now := newSession("a"), newSession("ended"), time.Now()
	in := store.Intent{AttemptID: store.AttemptID{1}, Owner: "me", ReplayAt: now}
	r.is("Create", r.Create(t.Context(), a), nil)
	r.is("Create", r.Create(t.Context(), ended), nil)
	_, attempt, err := r.Begin(t.Context(), a.ID, 1, in)
	r.is("Begin", err, nil)
	r.is("Touch", r.Touch(t.Context(), map[session.ID]time.Time{a.ID: now.Add(time.Minute)}), nil)
	_, err = r.End(t.Context(), ended.ID, session.ReasonLogout, store.Cond{})
	r.is("End", err, nil)
	r.wrote("that", 5)

	begin := func(id session.ID, rev session.Revision, attempt byte) error {
		_, _, err := r.Begin(t.Context(), id, rev, store.Intent{AttemptID: store.AttemptID{attempt}, Owner: "me"})
		return err
	}
	end := func(id session.ID, only store.Cond) error {
		_, err := r.End(t.Context(), id, session.ReasonIdle, only)
		return err
	}
	for _, tt := range []struct {
		what      string
		got, want error
	}{
		{"Create of what exists", r.Create(t.Context(), a), session.ErrExists},
		{"Create of what has ended", r.Create(t.Context(), ended), session.ErrExists},
		{"Begin again", begin(a.ID, 1, 1), nil},
		{"Begin of another", begin(a.ID, 1, 2), session.ErrBusy},
		{"Begin of another revision", begin(a.ID, 2, 2), session.ErrMoved},
		{"Begin of what has ended", begin(ended.ID, 1, 2), session.ErrEnded},
		{"Extend", r.Extend(t.Context(), attempt, time.Second), nil},
		{"Fail of no attempt", r.Fail(t.Context(), store.Attempt{SessionID: a.ID}, session.Failure{}), session.ErrMoved},
		{"Commit of another revision", r.Commit(t.Context(), store.Attempt{SessionID: a.ID, Revision: 7}, a), session.ErrMoved},
		{"an older Touch", r.Touch(t.Context(), map[session.ID]time.Time{a.ID: now, ended.ID: now.Add(time.Hour), {}: now}), nil},
		{"End again", end(ended.ID, store.Cond{}), nil},
		{"End of what was used", end(a.ID, store.Cond{UnusedSince: now}), session.ErrMoved},
		{"Reap of nothing old", second(r.Reap(t.Context(), now, now, 9)), nil},
	} {
		r.is(tt.what, tt.got, tt.want)
	}
	r.wrote("what changes nothing", 0)
}

// What a session was listed under leaves the index with it, and its last use.
func TestTheIndexKeepsNothingOfOld(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	old, next := keyLine("old"), keyLine("new")
	entries := func(s *boltstore.Store, what string, subjects, used int) {
		t.Helper()
		if n, m, err := s.Keys(); err != nil || n != subjects || m != used {
			t.Errorf("%s: %d subjects, %d uses, %v; want %d and %d", what, n, m, err, subjects, used)
		}
	}
	s := open(t, path, ring(t, old), new(logbook.Book))
	a := create(t, s, 1)[0]
	if err := s.Touch(t.Context(), map[session.ID]time.Time{a.ID: time.Now()}); err != nil {
		t.Fatal(err)
	}
	entries(s, "created with a sid", 2, 1)
	_ = s.Close()

	s = open(t, path, ring(t, next, old), new(logbook.Book))
	for n, sid := range []string{a.Identity.SID, "another sid", ""} {
		rev := session.Revision(n + 1)
		_, attempt, err := s.Begin(t.Context(), a.ID, rev, store.Intent{AttemptID: store.AttemptID{byte(rev)}, Owner: "me"})
		if err != nil {
			t.Fatal(err)
		}
		renewed := a
		renewed.Revision, renewed.Identity.SID = rev+1, sid
		if err := s.Commit(t.Context(), attempt, renewed); err != nil {
			t.Fatal(err)
		}
		entries(s, "with sid "+sid, map[bool]int{true: 1, false: 2}[sid == ""], 1)
	}
	_ = s.Close()

	s = open(t, path, ring(t, next), new(logbook.Book))
	if ids, err := s.Find(t.Context(), session.SubjectKey{App: a.App, Provider: a.Provider, Sub: a.Identity.Subject}); err != nil || len(ids) != 1 {
		t.Errorf("Find after a Commit under the new key, the old key gone: %v, %v", ids, err)
	}
	if _, err := s.End(t.Context(), a.ID, session.ReasonLogout, store.Cond{}); err != nil {
		t.Fatal(err)
	}
	entries(s, "ended", 0, 0)
}
