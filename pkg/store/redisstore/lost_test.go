package redisstore_test

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/redis/rueidis"
)

// failover makes the server lose what changes on a session from now on, when back is
// called.
func failover(t *testing.T, addr, key string) (back func()) {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	old, err := client.Do(t.Context(), client.B().Dump().Key(key).Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := client.Do(t.Context(), client.B().Restore().Key(key).Ttl(0).SerializedValue(old).Replace().Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// A failover that has lost a revision is noticed by whoever has seen it, or heard of
// it. It is not read, an attempt on it is a replay, and what that brings is read.
func TestALostRevisionIsNotRead(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	s, other := join(t, "one", addr), join(t, "two", addr)
	ses := login(t, s)
	back := failover(t, addr, s.Key(ses.ID))
	renewed := renew(t, s, renew(t, s, ses))
	eventually(t, "the other has heard", func() bool { return len(other.hears(ses.ID)) == 2 })
	back()
	for _, r := range []*replica{s, other} {
		rec, err := r.Get(t.Context(), ses.ID)
		if !errors.Is(err, session.ErrUnavailable) || rec.Lost != 3 || rec.Session.Revision != 1 {
			t.Errorf("Get of %s: revision %d, lost: %d, %v, want ErrUnavailable", r.name, rec.Session.Revision, rec.Lost, err)
		}
		if _, err := begin(t, r, ses.ID); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("Begin of %s at once: %v, want ErrUnavailable: the refresh token is in doubt", r.name, err)
		}
	}
	for _, r := range []*replica{s, other} {
		eventually(t, r.name+" is asked for what it remembers", func() bool { return r.hearsOfLoss(ses.ID) })
	}
	if _, err := open(t, "three", addr).Get(t.Context(), ses.ID); err != nil {
		t.Errorf("Get of one who has not seen it: %v", err)
	}
	var a store.Attempt
	eventually(t, "an attempt that is a replay", func() (ok bool) {
		var err error
		a, err = begin(t, s, ses.ID)
		return err == nil
	})
	if !a.InDoubt {
		t.Error("the attempt is not in doubt")
	}
	again := ses
	again.Revision = 2
	if err := s.Commit(t.Context(), a, again); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{s, other} {
		eventually(t, "what the replay has brought is read", func() bool {
			rec, err := r.Get(t.Context(), ses.ID)
			return err == nil && rec.Session.Revision == 2 && rec.Lost == 0
		})
	}
	if renewed.Revision != 3 {
		t.Fatalf("lost was revision %d, want two more than what was left", renewed.Revision)
	}
}

// Tokens whose Commit has no answer are newer than what the store has.
func TestACommitOnItsWayIsNewer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	s := open(t, "one", server.Addr)
	ses := login(t, s)
	a, err := begin(t, s, ses.ID)
	if err != nil {
		t.Fatal(err)
	}
	next := ses
	next.Revision++
	server.Kill()
	if err := s.Commit(t.Context(), a, next); !errors.Is(err, session.ErrUnavailable) {
		t.Fatalf("Commit: %v, want ErrUnavailable", err)
	}
	server.Restart(t)
	eventually(t, "the older one is there, and is not read", func() bool {
		rec, err := s.Get(t.Context(), ses.ID)
		if err == nil {
			t.Fatalf("Get: revision %d", rec.Session.Revision)
		}
		return rec.Lost == 2 && rec.Session.Revision == 1
	})
	if err := s.Commit(t.Context(), a, next); err != nil {
		t.Fatal(err)
	}
	if rec, err := s.Get(t.Context(), ses.ID); err != nil || rec.Session.Revision != 2 {
		t.Errorf("Get: %v, revision %d", err, rec.Session.Revision)
	}
}

// A failover that has lost the end of a session brings it back to nobody who has
// heard of the end.
func TestALostEndIsNotUndone(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	s, other := join(t, "one", addr), join(t, "two", addr)
	ses := login(t, s)
	back := failover(t, addr, s.Key(ses.ID))
	if _, err := s.End(t.Context(), ses.ID, session.ReasonLogout, store.Cond{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other has heard", func() bool { return len(other.hears(ses.ID)) == 1 })
	back()
	for _, r := range []*replica{s, other} {
		if _, err := r.Get(t.Context(), ses.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Get of %s: %v, want ErrEnded", r.name, err)
		}
		if _, err := begin(t, r, ses.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Begin of %s: %v, want ErrEnded", r.name, err)
		}
	}
	if _, err := open(t, "three", addr).Get(t.Context(), ses.ID); err != nil {
		t.Errorf("Get of one who has not heard: %v", err)
	}
}

// A primary that was stopped, and goes on after another has taken its place, opens
// attempts that nobody else knows of: its answer is no answer.
func TestAFormerPrimaryOpensNoAttempt(t *testing.T) {
	t.Parallel()
	w := redistest.WatchedBySentinels(t)
	options := redisstore.Options{
		Addresses: w.Addresses(), SentinelMaster: w.Name, Prefix: "test", Owner: "one", MaxStale: 2 * time.Second, Keys: ring(t), Log: slog.New(slog.DiscardHandler),
	}
	s, other := openWith(t, options), openWith(t, options)
	r := run(t, "one", s)
	ses := login(t, r)
	if _, err := begin(t, r, ses.ID); err != nil {
		t.Fatal(err)
	}
	ses = login(t, r)
	old := w.Primary(t)
	old.Signal(syscall.SIGSTOP)
	begun := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := r.Begin(ctx, ses.ID, 1, store.Intent{AttemptID: store.AttemptID{1}, Owner: "one", Lease: time.Second, Deadline: time.Second})
		begun <- err
	}()
	eventually(t, "there is another primary", func() bool { return w.Primary(t) != old })
	eventually(t, "the other has renewed the session there", func() bool {
		a, err := begin(t, other, ses.ID)
		if err != nil {
			return false
		}
		next := ses
		next.Revision = 2
		return other.Commit(t.Context(), a, next) == nil
	})
	old.Signal(syscall.SIGCONT)
	if err := <-begun; !errors.Is(err, session.ErrMoved) && !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Begin: %v, want ErrMoved", err)
	} else {
		t.Log(err)
	}
}
