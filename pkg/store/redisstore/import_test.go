package redisstore_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/redistest"
)

// Whoever copies asks whether anybody serves the store, and joins nobody.
func TestReplicasAreCounted(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	asks := open(t, "", addr)
	counted := func(want int) func() bool {
		return func() bool {
			n, err := asks.Replicas(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n == want
		}
	}
	if !counted(0)() {
		t.Error("there is one before any came")
	}
	one, two := join(t, "one", addr), join(t, "two", addr)
	eventually(t, "both are counted", counted(2)) // a machine that is busy for seconds counts as dead
	one.stop()                                    // says goodbye
	eventually(t, "one is left", counted(1))
	_ = two.Close() // cannot
	eventually(t, "nobody is left", counted(0))
}

// A replica that serves what an import replaces is told, as of a refresh.
func TestImportsAreHeard(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	r := join(t, "one", addr)
	ses := login(t, r)
	ses.Revision = 5
	if err := open(t, "", addr).Import(t.Context(), store.NewRecord(ses)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it hears of the revision", func() bool { return slices.Equal(r.hears(ses.ID), []session.Revision{5}) })
}

// Who copies is not one of the replicas, and waits for a copy all the same: whoever is
// told that a session was copied never serves the other store again.
func TestImportsWaitForACopy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	host, port, _ := strings.Cut(server.Addr, ":")
	redistest.Start(t, "--replicaof", host+" "+port)
	eventually(t, "there is a copy", func() bool {
		return strings.Contains(server.CLI(t, "INFO", "replication"), "state=online")
	})
	s := open(t, "", server.Addr)
	now := time.Now()
	ses := session.Session{ID: session.NewHandle().ID(), Revision: 1, CreatedAt: now, EndsAt: now.Add(time.Hour)}
	if err := s.Import(t.Context(), store.NewRecord(ses)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(server.CLI(t, "INFO", "commandstats"), "cmdstat_wait:") {
		t.Error("it does not wait")
	}
}

// A session whose time has been over for long, while nothing ran, is there for the
// reaper, who has its tokens revoked.
func TestImportKeepsWhatIsOverForTheReaper(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, "", server.Addr)
	now := time.Now()
	old := session.Session{ID: session.NewHandle().ID(), Revision: 1, CreatedAt: now.Add(-30 * time.Hour), EndsAt: now.Add(-22 * time.Hour)}
	if err := s.Import(t.Context(), store.NewRecord(old)); err != nil {
		t.Fatal(err)
	}
	left := strings.TrimSpace(server.CLI(t, "TTL", s.Key(old.ID)))
	if seconds, err := strconv.Atoi(left); err != nil || seconds < 50*60 {
		t.Errorf("its key lives for %s s, %v", left, err)
	}
	if ids, err := s.Reap(t.Context(), now, time.Time{}, 10); err != nil || !slices.Contains(ids, old.ID) {
		t.Errorf("the reaper finds %v, %v", ids, err)
	}
}
