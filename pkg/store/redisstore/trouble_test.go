package redisstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/redistest"
)

// A server without memory takes what ends an attempt or a session, since it must not
// be lost, and nothing that begins one; what it has is read.
func TestAFullServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	log := new(logbook.Book)
	r := run(t, "one", openLogged(t, "one", log, server.Addr))
	renewed, failed, ended, idle := login(t, r), login(t, r), login(t, r), login(t, r)
	a, err := begin(t, r, renewed.ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := begin(t, r, failed.ID)
	if err != nil {
		t.Fatal(err)
	}
	server.CLI(t, "CONFIG", "SET", "maxmemory", "1")
	renewed.Revision++
	if err := r.Commit(t.Context(), a, renewed); err != nil {
		t.Errorf("Commit: %v", err)
	}
	if err := r.Fail(t.Context(), b, session.Failure{Class: session.Transient, Sent: true}); err != nil {
		t.Errorf("Fail: %v", err)
	}
	if _, err := r.End(t.Context(), ended.ID, session.ReasonLogout, store.Cond{}); err != nil {
		t.Errorf("End: %v", err)
	}
	if _, err := begin(t, r, idle.ID); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Begin: %v, want ErrUnavailable", err)
	}
	if err := r.Create(t.Context(), session.Session{ID: session.NewHandle().ID(), Revision: 1}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Create: %v, want ErrUnavailable", err)
	}
	for id, rev := range map[session.ID]session.Revision{renewed.ID: 2, failed.ID: 1, idle.ID: 1} {
		if rec, err := r.Get(t.Context(), id); err != nil || rec.Session.Revision != rev {
			t.Errorf("Get: revision %d, %v, want %d", rec.Session.Revision, err, rev)
		}
	}
	eventually(t, "it is told", func() bool { return strings.Contains(r.Trouble(), "takes no writes") })
	if _, ok := r.Coherent(); !ok {
		t.Error("what is remembered is not served, though the server is heard")
	}
	server.CLI(t, "CONFIG", "SET", "maxmemory", "0")
	eventually(t, "it is over", func() bool { return r.Trouble() == "" })
	if told, over := strings.Count(log.String(), "takes no writes"), strings.Count(log.String(), "store trouble is over"); told != 1 || over != 1 {
		t.Errorf("told %d times, and %d times that it is over:\n%s", told, over, log)
	}
}

// A server that is away is told of once, and that it is back.
func TestAServerAwayIsToldOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	log := new(logbook.Book)
	r := run(t, "one", openLogged(t, "one", log, server.Addr))
	server.Kill()
	eventually(t, "it is told", func() bool { return strings.Contains(r.Trouble(), "not reached") })
	eventually(t, "nothing remembered is served", func() bool { _, ok := r.Coherent(); return !ok })
	server.Restart(t)
	eventually(t, "it is over", func() bool { return r.Trouble() == "" })
	if told, over := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "store trouble is over"); told != 1 || over != 1 {
		t.Errorf("told %d times, and %d times that it is over:\n%s", told, over, log)
	}
}

// A server that throws sessions away when it is full is told of at the start.
func TestEvictionIsWarnedOf(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"noeviction": false, "allkeys-lru": true, "volatile-ttl": true} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			for limit, limited := range map[string]bool{"0": false, "100mb": true} {
				log := new(logbook.Book)
				server := redistest.Start(t, "--maxmemory", limit, "--maxmemory-policy", policy)
				run(t, "one", openLogged(t, "one", log, server.Addr))
				if got := strings.Contains(log.String(), "maxmemory_policy="+policy); got != (warned && limited) {
					t.Errorf("maxmemory %s: warned: %t", limit, got)
				}
			}
		})
	}
}

// A user who may not use the channels any more: what is done is done, and reported as
// done; what is remembered is not served, since nobody hears of the others' changes.
func TestWithoutChannels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := join(t, "one", server.Addr)
	renewed, ended := login(t, r), login(t, r)
	server.CLI(t, "ACL", "SETUSER", "default", "resetchannels")
	eventually(t, "it is told", func() bool { return strings.Contains(r.Trouble(), "is not heard") })
	eventually(t, "nothing remembered is served", func() bool { _, ok := r.Coherent(); return !ok })
	renew(t, r, renewed)
	if was, err := r.End(t.Context(), ended.ID, session.ReasonLogout, store.Cond{}); err != nil || was.ID != ended.ID {
		t.Errorf("End: %v, %v", was.ID, err)
	}
	if !slices.Contains(swept(t, login(t, r).ID, r), "one") {
		t.Error("nobody sweeps")
	}

	_, err := redisstore.Open(redisstore.Options{Addresses: []string{server.Addr}, Prefix: "test", Owner: "two", Keys: ring(t)})
	if err == nil || !strings.Contains(err.Error(), "allow it the channels &test:*") {
		t.Errorf("another one may start: %v", err)
	}

	server.CLI(t, "ACL", "SETUSER", "default", "allchannels")
	eventually(t, "it is over", func() bool { return r.Trouble() == "" })
	eventually(t, "what is remembered is served", func() bool { _, ok := r.Coherent(); return ok })
}
