package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

// Watched is a primary with replicas, and the Sentinels that make one of them the
// primary when it is away.
type Watched struct {
	Name      string // of the master set
	Servers   []*Server
	Sentinels []*Server
}

// WatchedBySentinels runs a primary, two replicas and three Sentinels, which wait
// for two seconds.
func WatchedBySentinels(t testing.TB) *Watched {
	t.Helper()
	return watched(t, func(args ...string) *Server { return Start(t, args...) }, func(port string) []string { return []string{"port " + port} }, nil)
}

// SentinelPassword is that of the Sentinels of SecuredSentinels.
const SentinelPassword = "sentinel-password"

// SecuredSentinels is the same by TLS, with the users of acl at the servers (see
// StartSecured), and a password at the Sentinels.
func SecuredSentinels(t testing.TB, a Authority, acl string) *Watched {
	t.Helper()
	run := func(args ...string) *Server {
		args = append([]string{"--tls-replication", "yes", "--masteruser", "admin", "--masterauth", "admin", "--repl-diskless-sync-delay", "0"}, args...)
		return StartSecured(t, a, acl, args...)
	}
	lines := func(port string) []string {
		return []string{
			"port 0", "tls-port " + port, "tls-replication yes", "tls-ca-cert-file " + a.CA, "tls-cert-file " + a.ServerCert, "tls-key-file " + a.ServerKey,
			"requirepass " + SentinelPassword, "sentinel sentinel-pass " + SentinelPassword,
		}
	}
	auth := []string{"sentinel auth-user %s admin", "sentinel auth-pass %s admin"}
	w := watched(t, run, lines, append(a.cli(), "-a", SentinelPassword, "--no-auth-warning"), auth...)
	return w
}

// watched joins servers that run starts, and Sentinels with the first lines of their
// configuration by their port, and further ones about the master set.
func watched(t testing.TB, run func(args ...string) *Server, first func(port string) []string, cli []string, about ...string) *Watched {
	t.Helper()
	w := &Watched{Name: "lamps", Servers: []*Server{run()}}
	host, port, _ := strings.Cut(w.Servers[0].Addr, ":")
	for range 2 {
		w.Servers = append(w.Servers, run("--replicaof", host+" "+port))
	}
	for _, s := range w.Servers[1:] {
		s.until(t, says("master_link_status:up"), "INFO", "replication")
	}
	dir := t.TempDir()
	for i := range 3 {
		at := stack.FreePort(t)
		conf := filepath.Join(dir, fmt.Sprintf("sentinel%d.conf", i))
		lines := append(first(at), fmt.Sprintf("sentinel monitor %s %s %s 2", w.Name, host, port))
		for _, line := range append(about, "sentinel down-after-milliseconds %s 2000", "sentinel failover-timeout %s 10000") {
			lines = append(lines, fmt.Sprintf(line, w.Name))
		}
		if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, at, conf, "--sentinel")
		s.cli = cli
		w.Sentinels = append(w.Sentinels, s)
	}
	for _, s := range w.Sentinels {
		s.until(t, says("slaves=2,sentinels=3"), "INFO", "sentinel")
	}
	return w
}

// Primary is who the Sentinels say it is.
func (w *Watched) Primary(t testing.TB) *Server {
	t.Helper()
	said := strings.Fields(w.Sentinels[0].CLI(t, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.Name))
	for _, s := range w.Servers {
		if len(said) == 2 && s.Addr == net.JoinHostPort(said[0], said[1]) {
			return s
		}
	}
	t.Fatalf("the sentinels name %q", said)
	return nil
}

// Addresses are the Sentinels'.
func (w *Watched) Addresses() (all []string) {
	for _, s := range w.Sentinels {
		all = append(all, s.Addr)
	}
	return all
}
