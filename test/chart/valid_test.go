//go:build kubernetes

package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/tools"
)

// oldest is the version of Kubernetes that the chart asks for, by whose schemas
// everything has to be valid; `make k8s-test` asks a newer one.
const oldest = "1.30"

// validate judges files by the schemas of Kubernetes and of the CRDs.
func validate(t *testing.T, files ...string) (string, error) {
	t.Helper()
	crds, err := tools.CRDs(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return run(t, "kubectl-validate", append([]string{"--version", oldest, "--local-crds", crds}, files...)...)
}

// rendered writes everything that Kubernetes is to be given into files.
func rendered(t *testing.T) (files []string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		files = append(files, filepath.Join(dir, name+".yaml"))
		if err := os.WriteFile(files[len(files)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, values := range ciValues(t) {
		text, err := render(t, "--values", values)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Base(values), text)
	}
	write("app", appText(t))
	write("kustomize", kustomized(t, "testdata/kustomize"))
	for _, folder := range []string{"istio", "envoy-gateway", "gateway-api"} {
		manifests, err := filepath.Glob(filepath.Join(root, "k8s", folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(manifests, func(name string) bool {
			return strings.HasSuffix(name, "mesh-config.yaml") // values of Istio's chart
		})...)
	}
	return files
}

func TestEverythingIsValid(t *testing.T) {
	t.Parallel()
	files := rendered(t)
	if out, err := validate(t, files...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// That the judge would say so, of each kind that comes from elsewhere.
func TestInvalidIsRefused(t *testing.T) {
	t.Parallel()
	text, err := render(t, ci("everything"))
	if err != nil {
		t.Fatal(err)
	}
	dir, files := t.TempDir(), []string(nil)
	for what, with := range map[string]string{
		"appProtocol: http": "appProtocoll: http", "minReplicas: 3": "minReplicas: three", "interval: 15s": "interval: often",
		"podMetricsEndpoints:": "podMetricEndpoints:", "unhealthyPodEvictionPolicy: AlwaysAllow": "unhealthyPodEvictionPolicy: 5",
		"policyTypes: [Ingress, Egress]": "policyTypes: Ingress", "- alert: LamplighterDown": "- alarm: LamplighterDown",
	} {
		broken := strings.Replace(text, what, with, 1)
		if broken == text {
			t.Errorf("nothing is rendered as %q", what)
			continue
		}
		key, _, _ := strings.Cut(what, ":")
		files = append(files, filepath.Join(dir, strings.TrimPrefix(key, "- ")+".yaml"))
		if err := os.WriteFile(files[len(files)-1], []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = validate(t, files...)
	for _, file := range files {
		if err == nil || !regexp.MustCompile(regexp.QuoteMeta(file)+`.*ERROR`).MatchString(err.Error()) {
			t.Errorf("%s, broken, is accepted: %v", filepath.Base(file), err)
		}
	}
}
