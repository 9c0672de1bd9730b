package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeKubeconfig leaves the one file that kubectl and helm read.
func (c *Cluster) writeKubeconfig(t testing.TB) {
	t.Helper()
	c.Kubeconfig = filepath.Join(c.dir, "kubeconfig")
	type m = map[string]any
	text, err := json.Marshal(m{ // which is YAML
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []m{{"name": "test", "cluster": m{"server": "https://" + c.addr, "certificate-authority": c.authority.CA}}},
		"users":    []m{{"name": "admin", "user": m{"token": c.token}}},
		"contexts": []m{{"name": "test", "context": m{"cluster": "test", "user": "admin"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Kubectl runs kubectl as the administrator, with stdin; the error of a command
// that failed carries what it printed.
func (c *Cluster) Kubectl(stdin string, args ...string) (string, error) {
	return c.command(c.kubectl, stdin, args...)
}

// Helm runs helm as the administrator.
func (c *Cluster) Helm(args ...string) (string, error) { return c.command(c.helm, "", args...) }

func (c *Cluster) command(path, stdin string, args ...string) (string, error) {
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdin = c.Environ(), strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Environ is the environment in which kubectl and helm are found and speak to this
// cluster. All that the two would read or keep of the person's own is in the test's
// folder.
func (c *Cluster) Environ() []string {
	helm := filepath.Join(c.dir, "helm")
	return append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+c.dir, "KUBECACHEDIR="+filepath.Join(c.dir, "cache"),
		"HELM_CACHE_HOME="+helm, "HELM_CONFIG_HOME="+helm, "HELM_DATA_HOME="+helm,
		"PATH="+filepath.Dir(c.kubectl)+":"+filepath.Dir(c.helm)+":"+os.Getenv("PATH"))
}

// Namespace makes one of that name.
func (c *Cluster) Namespace(t testing.TB, name string) {
	t.Helper()
	if _, err := c.Kubectl("", "create", "namespace", name); err != nil {
		t.Fatal(err)
	}
}

// Version is what the API server says of itself, such as v1.37.2.
func (c *Cluster) Version(t testing.TB) string {
	t.Helper()
	body, err := c.get("https://" + c.addr + "/version")
	var said struct{ GitVersion string }
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil || said.GitVersion == "" {
		t.Fatalf("ask for the version: %v", err)
	}
	return said.GitVersion
}

// EtcdVersion is what etcd says of itself, such as 3.7.3.
func (c *Cluster) EtcdVersion(t testing.TB) string {
	t.Helper()
	body, err := c.get(c.store + "/version")
	var said struct {
		Version string `json:"etcdserver"`
	}
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil || said.Version == "" {
		t.Fatalf("ask etcd for its version: %v", err)
	}
	return said.Version
}
