//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/cluster"
	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/tools"
)

// world is one control plane with the CRDs of others, and what was seen on it.
type world struct {
	*cluster.Cluster
	root string // of the checkout
	seen strings.Builder
}

func (w *world) note(format string, args ...any) { fmt.Fprintf(&w.seen, format+"\n", args...) }

func TestKubernetes(t *testing.T) {
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Cluster: cluster.Start(t), root: root}
	w.noteVersions(t)
	w.define(t)
	t.Run("chart", w.chart)
	t.Run("change", w.change)
	t.Run("manifests", w.manifests)
	t.Run("printed", w.printed)
	fmt.Printf("\n%s\n", &w.seen)
}

func (w *world) noteVersions(t *testing.T) {
	t.Helper()
	helm, err := w.Helm("version", "--template", "{{.Version}}")
	if err != nil {
		t.Fatal(err)
	}
	w.note("kube-apiserver %s, etcd %s, helm %s; CRDs of %s.\n", strings.TrimPrefix(w.Version(t), "v"), w.EtcdVersion(t), strings.TrimPrefix(helm, "v"), tools.CRDVersions)
}

// define installs the CRDs. Gateway API's HTTPRoute is too big for the annotation
// that kubectl apply keeps, hence server-side.
func (w *world) define(t *testing.T) {
	t.Helper()
	dir, err := tools.CRDs(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Kubectl("", "apply", "--server-side", "--filename", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Kubectl("", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
}

// ensure makes a namespace if it is not there.
func (w *world) ensure(t *testing.T, name string) {
	t.Helper()
	if _, err := w.Kubectl("", "get", "namespace", name); err != nil {
		w.Namespace(t, name)
	}
}

// files of the checkout that match, of which there must be some.
func (w *world) files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.root, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
