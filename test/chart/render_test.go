//go:build kubernetes

package chart_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/test/tools"
)

// object is one of Kubernetes.
type object map[string]any

// run runs one of the tools, and returns what it says where people read it.
func run(t *testing.T, tool string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.Tool(t, tool), args...)
	// Nothing of whoever runs the tests: their plugins, repositories or cluster.
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME=/nonexistent", "HELM_DATA_HOME=/nonexistent", "HELM_PLUGINS=/nonexistent", "KUBECONFIG=/nonexistent")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s%s", err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// render is what `helm template` makes of the chart; args are --set and --values.
func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(t, "helm", append([]string{"template", "lamplighter", chartDir, "--kube-version", "1.37.0"}, args...)...)
}

func mustRender(t *testing.T, args ...string) []object {
	t.Helper()
	text, err := render(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

func objects(t *testing.T, text string) (all []object) {
	t.Helper()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

// kind is the one object of a kind, or nil.
func kind(all []object, kind string) object {
	for _, o := range all {
		if o["kind"] == kind {
			return o
		}
	}
	return nil
}

// at is what an object has at a path; nil if there is nothing.
func at(v any, path ...string) any {
	for _, key := range path {
		switch m := v.(type) {
		case object:
			v = m[key]
		case map[string]any:
			v = m[key]
		default:
			return nil
		}
	}
	return v
}

// ciValues are the files of values that CI installs.
func ciValues(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("ci values: %q, %v", files, err)
	}
	return files
}

// each runs a test for each file of CI's values, with what it renders.
func each(t *testing.T, f func(t *testing.T, values string, all []object)) {
	t.Helper()
	for _, values := range ciValues(t) {
		t.Run(filepath.Base(values), func(t *testing.T) {
			t.Parallel()
			f(t, values, mustRender(t, "--values", values))
		})
	}
}

// ci names a file of CI's values, as an argument.
func ci(name string) string { return "--values=" + chartDir + "/ci/" + name + "-values.yaml" }

func TestLint(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, values string, _ []object) {
		if out, err := run(t, "helm", "lint", "--strict", "--values", values, chartDir); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// The suites of the chart itself, which say what single templates do.
func TestSuites(t *testing.T) {
	t.Parallel()
	out, err := run(t, "helm-unittest", "--strict", chartDir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "Tests:") || strings.Contains(out, "Tests:       0 passed") {
		t.Errorf("no test ran:\n%s", out)
	}
	t.Log(out)
}
