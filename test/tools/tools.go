package tools

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/installed"
)

const below = ".tools"

// source is where programs come from.
type source interface {
	// folder is a name that has the version in it.
	folder() string
	// fetch fills dir, which is empty.
	fetch(ctx context.Context, dir string) error
}

// program is one file of what its source leaves.
type program struct {
	from source
	path string
}

func programs() map[string]program {
	return map[string]program{
		"helm":       {layer{}, "helm/helm"},
		"kubectl":    {layer{}, "kubectl/kubectl"},
		"prometheus": {debian{"prometheus"}, "usr/bin/prometheus"},
		"promtool":   {debian{"prometheus"}, "usr/bin/promtool"},

		"ko":               {built{module: "github.com/google/ko", version: "v0.19.1"}, "ko"},
		"helm-unittest":    {built{module: "github.com/helm-unittest/helm-unittest", version: "v1.1.2", main: "/cmd/helm-unittest"}, "helm-unittest"},
		"kubectl-validate": {built{module: "sigs.k8s.io/kubectl-validate", version: "v0.0.4"}, "kubectl-validate"},
		"etcd":             {built{module: "go.etcd.io/etcd/server/v3", version: "v3.7.3", name: "etcd"}, "etcd"},
		"kube-apiserver":   {apiserver(), "kube-apiserver"},
		"mesh-config":      {meshConfig(), "mesh-config"},
	}
}

// Names of the programs that Path knows, in order.
func Names() []string { return slices.Sorted(maps.Keys(programs())) }

// Path returns where the program of that name is, and gets it when it is
// missing: a control plane takes ten minutes of building. It is safe against
// other calls, in this process and in others. What it does is told to log, one
// line a step. It must be called from within the checkout.
func Path(ctx context.Context, name string, log io.Writer) (string, error) {
	wanted, ok := programs()[name]
	if !ok {
		return "", fmt.Errorf("get %s: not known, known are %s", name, strings.Join(Names(), ", "))
	}
	return wanted.install(ctx, log)
}

// Tool is Path for tests. A test without its tool is a failed test.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := Path(t.Context(), name, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (p program) install(ctx context.Context, log io.Writer) (string, error) {
	dir, err := installed.Folder(ctx, below, p.from.folder(), func(dir string) error {
		fmt.Fprintf(log, "tools: getting %s\n", p.from.folder())
		return p.from.fetch(ctx, dir)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, p.path), nil
}

func in(ctx context.Context, dir, command string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	return child.Run(ctx, cmd)
}

// need says what to do when one of the commands is not on PATH.
func need(what string, commands ...string) error {
	for _, name := range commands {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s: %s is not on PATH", what, name)
		}
	}
	return nil
}
