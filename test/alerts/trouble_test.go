//go:build alerts

package alerts

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// overRedis is one lamplighter over the Redis at addr, in use and watched.
func overRedis(t *testing.T, addr string) (*stack.Stack, *prometheus) {
	t.Helper()
	s := run(t, stack.Options{Config: fmt.Sprintf("store: {redis: {addresses: [%q]}}", addr)})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	return s, p
}

func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	line := redistest.NewLine(t, redistest.Start(t).Addr)
	_, p := overRedis(t, line.Addr)
	line.Cut()
	p.fires("LamplighterStoreUnavailable", `kind="unreachable"`)
	p.fires("LamplighterUnavailable")
	line.Heal()
	p.resolves("LamplighterStoreUnavailable")
	p.resolves("LamplighterUnavailable")
	p.only("LamplighterStoreUnavailable", "LamplighterUnavailable")
}

func TestRedisIsFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	_, p := overRedis(t, server.Addr)
	server.CLI(t, "CONFIG", "SET", "maxmemory", "1")
	p.fires("LamplighterStoreUnavailable", `kind="unwritable"`)
	p.fires("LamplighterUnavailable")
	server.CLI(t, "CONFIG", "SET", "maxmemory", "0")
	p.resolves("LamplighterStoreUnavailable")
	p.resolves("LamplighterUnavailable")
	p.only("LamplighterStoreUnavailable", "LamplighterUnavailable")
}

// The replica of Redis stands still, and has no write in time: it is told of, and
// everybody is served.
func TestWritesAreNotCopied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host, port)
	_, p := overRedis(t, server.Addr)
	replica.Signal(syscall.SIGSTOP)
	p.fires("LamplighterStoreDegraded", `kind="uncopied"`)
	replica.Signal(syscall.SIGCONT)
	p.resolves("LamplighterStoreDegraded")
	p.only("LamplighterStoreDegraded")
}

// A lamplighter that is killed is told of as a target, and as the last of all.
func TestLamplighterIsKilled(t *testing.T) {
	t.Parallel()
	admin := "127.0.0.1:" + stack.FreePort(t)
	s := run(t, stack.Options{Env: []string{"LAMPLIGHTER_LISTEN_ADMIN=" + admin}})
	p := watch(t, map[string][]string{"lamplighter": {admin}})
	s.Lamplighter.Kill()
	p.fires("LamplighterDown", fmt.Sprintf("instance=%q", admin))
	p.fires("LamplighterDown", `instance=""`)
	s.Lamplighter.Start()
	p.resolves("LamplighterDown")
	p.only("LamplighterDown")
}

// More sessions than the sweep may refresh: it is told of, and requests see to
// their tokens by themselves.
func TestSweepIsTooSlow(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{Config: "sweep: {rate: 1}"})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	p.fires("LamplighterSweepBehind") // the need is worked out once a minute
	p.only("LamplighterSweepBehind")
}

// A change of the configuration that cannot be: it is told of until it is taken
// back, and everybody is served meanwhile.
func TestReloadIsRefused(t *testing.T) {
	t.Parallel()
	s := run(t, stack.Options{})
	p := watch(t, map[string][]string{"lamplighter": {s.Lamplighter.Admin}})
	use(t, logIn(t, s, users))
	s.Reconfigure(t, "sweep: {rate: none}")
	p.fires("LamplighterReloadFailed")
	s.Reconfigure(t, "")
	p.resolves("LamplighterReloadFailed")
	p.only("LamplighterReloadFailed")
}
