package redistest

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// Cluster runs n primaries that share the slots, without replicas.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := make([]*Server, n)
	addrs := make([]string, n)
	for i := range servers {
		servers[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", stack.FreePort(t), "--cluster-node-timeout", "2000")
		addrs[i] = servers[i].Addr
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	if out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("create the cluster: %v\n%s", err, out)
	}
	for _, s := range servers {
		s.until(t, "cluster_state:ok", "CLUSTER", "INFO")
	}
	return servers
}

// CLI is what redis-cli prints for a command to this server.
func (s *Server) CLI(t testing.TB, args ...string) string {
	t.Helper()
	host, port, _ := strings.Cut(s.Addr, ":")
	out, err := exec.Command("redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// until waits for a command's answer to hold want.
func (s *Server) until(t testing.TB, want string, args ...string) {
	t.Helper()
	for deadline := time.Now().Add(startWithin); !strings.Contains(s.CLI(t, args...), want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redis at %s: not %q within %v:\n%s", s.Addr, want, startWithin, s.CLI(t, args...))
		}
	}
}
