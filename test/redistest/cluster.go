package redistest

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// Cluster runs n primaries that share the slots, without replicas.
func Cluster(t testing.TB, n int) []*Server { return cluster(t, n, 0) }

// CopiedCluster runs n primaries with one replica each, and returns them all.
func CopiedCluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := cluster(t, n, 1)
	for _, s := range servers {
		s.until(t, says("state=online", "master_link_status:up"), "INFO", "replication")
	}
	return servers
}

func cluster(t testing.TB, n, replicas int) []*Server {
	t.Helper()
	servers := make([]*Server, n*(1+replicas))
	addrs := make([]string, len(servers))
	for i := range servers {
		servers[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", stack.FreePort(t), "--cluster-node-timeout", "2000")
		addrs[i] = servers[i].Addr
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	args = append(args, "--cluster-yes", "--cluster-replicas", strconv.Itoa(replicas))
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("create the cluster: %v\n%s", err, out)
	}
	for _, s := range servers {
		s.until(t, says("cluster_state:ok"), "CLUSTER", "INFO")
	}
	return servers
}

// CLI is what redis-cli prints for a command to this server.
func (s *Server) CLI(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.TryCLI(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryCLI is CLI for a server that may be about to close its connections.
func (s *Server) TryCLI(args ...string) (string, error) {
	host, port, _ := strings.Cut(s.Addr, ":")
	out, err := exec.Command("redis-cli", slices.Concat([]string{"-h", host, "-p", port}, s.cli, args)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("redis-cli %q: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// says is an answer that holds one of some texts.
func says(one ...string) func(answer string) bool {
	return func(answer string) bool {
		return slices.ContainsFunc(one, func(text string) bool { return strings.Contains(answer, text) })
	}
}

// until waits for a command's answer to be right.
func (s *Server) until(t testing.TB, right func(answer string) bool, args ...string) {
	t.Helper()
	for deadline := time.Now().Add(startWithin); !right(s.CLI(t, args...)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redis at %s: the answer to %q is not right within %v:\n%s", s.Addr, args, startWithin, s.CLI(t, args...))
		}
	}
}
