package redisstore_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/test/redistest"
)

// replica is one process's hold on the store.
type replica struct {
	*redisstore.Store
	name string
	stop func() // and wait

	mu    sync.Mutex
	heard map[session.ID][]session.Revision
	lost  map[session.ID]bool
}

func (r *replica) changed(id session.ID, rev session.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard[id] = append(r.heard[id], rev)
}

func (r *replica) isLost(id session.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost[id] = true
}

func (r *replica) hearsOfLoss(id session.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[id]
}

func (r *replica) hears(id session.ID) []session.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heard[id])
}

// open is a store of the servers at addresses that is not one of the replicas.
func open(t *testing.T, name string, addresses ...string) *redisstore.Store {
	t.Helper()
	return openLogged(t, name, io.Discard, addresses...)
}

func openLogged(t *testing.T, name string, log io.Writer, addresses ...string) *redisstore.Store {
	t.Helper()
	return openWith(t, redisstore.Options{
		Addresses: addresses, Prefix: "test", Owner: name, MaxStale: 2 * time.Second, Keys: ring(t), Log: slog.New(slog.NewTextHandler(log, nil)),
	})
}

func openWith(t *testing.T, o redisstore.Options) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// join makes it one of them.
func join(t *testing.T, name string, addresses ...string) *replica {
	t.Helper()
	return run(t, name, open(t, name, addresses...))
}

func run(t *testing.T, name string, s *redisstore.Store) *replica {
	t.Helper()
	r := &replica{Store: s, name: name, heard: make(map[session.ID][]session.Revision), lost: make(map[session.ID]bool)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx, r.changed, r.isLost) })
	r.stop = func() { cancel(); running.Wait() }
	t.Cleanup(r.stop)
	eventually(t, name+" is coherent", func() bool { _, ok := r.Coherent(); return ok })
	return r
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func login(t *testing.T, s store.Store) session.Session {
	t.Helper()
	now := time.Now()
	ses := session.Session{
		ID: session.NewHandle().ID(), Revision: 1, App: "a", Provider: "https://op.example.com",
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret(rand.Text())},
			Refresh: session.RefreshToken{Secret: session.NewSecret(rand.Text())},
			Issued:  now, Lifetime: time.Minute,
		},
		Identity:  session.Identity{Subject: rand.Text()},
		CreatedAt: now, EndsAt: now.Add(time.Hour), SweepAt: now,
	}
	if err := s.Create(t.Context(), ses); err != nil {
		t.Fatal(err)
	}
	return ses
}

func begin(t *testing.T, s store.Store, id session.ID) (store.Attempt, error) {
	t.Helper()
	in := store.Intent{Owner: "o", Lease: time.Second, Deadline: time.Second, ReplayAt: time.Now().Add(time.Second)}
	_, _ = rand.Read(in.AttemptID[:])
	_, a, err := s.Begin(t.Context(), id, 0, in)
	return a, err
}

func renew(t *testing.T, s store.Store, ses session.Session) session.Session {
	t.Helper()
	a, err := begin(t, s, ses.ID)
	if err != nil {
		t.Fatal(err)
	}
	ses.Revision++
	if err := s.Commit(t.Context(), a, ses); err != nil {
		t.Fatal(err)
	}
	return ses
}

// swept is who is told by Due that the session is due.
func swept(t *testing.T, id session.ID, replicas ...*replica) (by []string) {
	t.Helper()
	for _, r := range replicas {
		page, _, err := r.Due(t.Context(), time.Now(), time.Time{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(page, func(e store.DueEntry) bool { return e.ID == id }) {
			by = append(by, r.name)
		}
	}
	return by
}

// Every session is looked after by one of the replicas, whoever comes and goes.
func TestOneReplicaSweepsAShard(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	all := []*replica{join(t, "one", addr), join(t, "two", addr), join(t, "three", addr)}
	var sessions []session.Session
	for range 50 {
		sessions = append(sessions, login(t, all[0]))
	}
	shared := func(among ...*replica) {
		t.Helper()
		eventually(t, "each of them works, each session has one", func() bool {
			works := make(map[string]bool)
			for _, s := range sessions {
				by := swept(t, s.ID, among...)
				if len(by) != 1 {
					return false
				}
				works[by[0]] = true
			}
			return len(works) == len(among)
		})
	}
	shared(all...)
	all[0].stop() // says goodbye
	shared(all[1:]...)
	_ = all[1].Close() // cannot
	shared(all[2])
}

func TestChangesAreHeardByAll(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string]func() []string{
		"one server": func() []string { return []string{redistest.Start(t).Addr} },
		"a cluster": func() (all []string) {
			for _, s := range redistest.Cluster(t, 3) {
				all = append(all, s.Addr)
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := addresses()
			one, two := join(t, "one", at...), join(t, "two", at...)
			for range 10 { // on all servers
				ses := renew(t, one, login(t, one))
				if _, err := one.End(t.Context(), ses.ID, session.ReasonLogout, store.Cond{}); err != nil {
					t.Fatal(err)
				}
				for _, r := range []*replica{one, two} {
					eventually(t, r.name+" hears the revision and the end", func() bool { return slices.Equal(r.hears(ses.ID), []session.Revision{2, 0}) })
				}
			}
		})
	}
}

// What is remembered is good for MaxStale after the server was heard, and what was
// remembered before it was lost is not good after.
func TestCoherenceEndsWithTheServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := join(t, "one", server.Addr)
	before, _ := r.Coherent()
	server.Signal(syscall.SIGSTOP)
	eventually(t, "not coherent any more", func() bool { _, ok := r.Coherent(); return !ok })
	server.Signal(syscall.SIGCONT)
	eventually(t, "coherent again", func() bool { _, ok := r.Coherent(); return ok })
	server.CLI(t, "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a new epoch", func() bool { epoch, ok := r.Coherent(); return ok && epoch != before })
}

// What must not be lost waits for a copy, if the server has any.
func TestStepsWaitForACopy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := join(t, "one", server.Addr)
	waits := func() bool {
		return strings.Contains(server.CLI(t, "INFO", "commandstats"), "cmdstat_wait:")
	}
	ses := renew(t, r, login(t, r))
	if waits() {
		t.Error("it waits for a copy of a server that has none")
	}
	host, port, _ := strings.Cut(server.Addr, ":")
	redistest.Start(t, "--replicaof", host+" "+port)
	eventually(t, "it waits for the copy", func() bool {
		ses = renew(t, r, ses)
		return waits()
	})
}
