package cluster

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
	"github.com/lamplighter/lamplighter/test/tools"
)

const (
	startWithin = 2 * time.Minute
	stopWithin  = 20 * time.Second
)

// Cluster is one control plane. It ends with the test.
type Cluster struct {
	Kubeconfig string // a file, for an administrator

	dir           string
	kubectl, helm string
	authority     redistest.Authority
	token         string
	addr          string // of the API server
	store         string // etcd's URL
	client        *http.Client
}

// Start runs etcd and kube-apiserver, and returns when the API server is ready.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{
		kubectl: tools.Tool(t, "kubectl"), helm: tools.Tool(t, "helm"),
		dir: t.TempDir(), authority: redistest.NewAuthority(t), token: rand.Text(),
		addr: net.JoinHostPort("127.0.0.1", stack.FreePort(t)),
	}
	// Everything is at hand before a clock runs: a cold build takes minutes.
	etcd, apiserver := tools.Tool(t, "etcd"), tools.Tool(t, "kube-apiserver")
	c.trust(t)
	c.writeKubeconfig(t)
	c.startEtcd(t, etcd)
	c.startAPIServer(t, apiserver)
	return c
}

func (c *Cluster) trust(t testing.TB) {
	t.Helper()
	ca, err := os.ReadFile(c.authority.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the authority of the test has no certificate")
	}
	c.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(c.client.CloseIdleConnections)
}

func (c *Cluster) startEtcd(t testing.TB, path string) {
	t.Helper()
	c.store = "http://127.0.0.1:" + stack.FreePort(t)
	peers := "http://127.0.0.1:" + stack.FreePort(t)
	c.run(t, "etcd", exec.Command(path, "--data-dir="+filepath.Join(c.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+c.store, "--advertise-client-urls="+c.store,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers,
		"--log-level=warn"), func() error {
		return c.answers(c.store + "/health")
	})
}

func (c *Cluster) startAPIServer(t testing.TB, path string) {
	t.Helper()
	tokens := filepath.Join(c.dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(c.token+",admin,admin,system:masters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(c.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.run(t, "kube-apiserver", exec.Command(path, "--etcd-servers="+c.store,
		"--bind-address="+host, "--secure-port="+port, "--advertise-address="+host, "--endpoint-reconciler-type=none",
		"--tls-cert-file="+c.authority.ServerCert, "--tls-private-key-file="+c.authority.ServerKey,
		"--token-auth-file="+tokens, "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.authority.ServerCert, "--service-account-signing-key-file="+c.authority.ServerKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--disable-admission-plugins=ServiceAccount", // no controller makes the accounts that it looks for
		"--profiling=false"), func() error {
		return c.answers("https://" + c.addr + "/readyz")
	})
}

// run starts a program of the control plane and waits until it is ready.
func (c *Cluster) run(t testing.TB, name string, cmd *exec.Cmd, ready func() error) {
	t.Helper()
	log := new(logbook.Book)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	proc, err := child.Start(cmd)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		select {
		case <-proc.Done():
			t.Errorf("%s has ended before the test: %v; its log ends:\n%s", name, proc.Wait(), tail(log.String(), 4000))
		default:
			_ = proc.Stop(stopWithin) // etcd ends by the signal, after its own closing
		}
	})
	if err := await(proc, ready); err != nil {
		t.Fatalf("wait for %s: %v; its log ends:\n%s", name, err, tail(log.String(), 4000))
	}
}

func await(proc *child.Process, ready func() error) error {
	deadline := time.NewTimer(startWithin)
	defer deadline.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-proc.Done():
			return fmt.Errorf("it has ended: %w", errors.Join(proc.Wait(), err))
		case <-deadline.C:
			return fmt.Errorf("not ready after %v: %w", startWithin, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Cluster) answers(url string) error {
	_, err := c.get(url)
	return err
}

// get is a GET by the administrator that wants a 200.
func (c *Cluster) get(url string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s: %s", url, answer.Status, body)
	}
	return body, err
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }
