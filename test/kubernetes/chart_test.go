//go:build kubernetes

package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the upgrade changes: a value of the config, and so an object in each mode.
const changed = "config.refresh.token_refresh_threshold=241s"

func (w *world) chart(t *testing.T) {
	w.note("| values of the chart | installed | upgraded | rolled back | uninstalled |\n|---|---|---|---|---|")
	chart := filepath.Join(w.root, "k8s/chart")
	for _, values := range w.files(t, "k8s/chart/ci/*-values.yaml") {
		name := strings.TrimSuffix(filepath.Base(values), "-values.yaml")
		t.Run(name, func(t *testing.T) {
			release{world: w, name: "`ci/" + filepath.Base(values) + "`", chart: chart, values: []string{"--values", values}, changed: changed, namespace: "chart-" + name}.live(t)
		})
	}
	t.Run("app", func(t *testing.T) { // whose pods have the sidecar
		app := filepath.Join(t.TempDir(), "app")
		if err := os.CopyFS(app, os.DirFS(filepath.Join(w.root, "test/chart/testdata/app"))); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(app, "charts/lamplighter"), os.DirFS(chart)); err != nil {
			t.Fatal(err)
		}
		release{world: w, name: "a chart with this one as its dependency", chart: app, changed: "lamplighter." + changed, namespace: "chart-app"}.live(t)
	})
}

// release is one installation of a chart, in a namespace of its own.
type release struct {
	*world
	name      string // in the summary
	chart     string
	values    []string // arguments of helm
	changed   string   // the value of the upgrade
	namespace string
}

// live takes the release from its installation to its end; after each step the
// server has exactly the objects of the release's manifest.
func (r release) live(t *testing.T) {
	r.Namespace(t, r.namespace)
	r.strictly(t)
	r.helm(t, "install", append([]string{r.chart}, r.values...)...)
	first := r.objects(t)
	if r.has(t, "241s") {
		t.Error("the value of the upgrade was there before it")
	}

	r.restricted(t)

	r.helm(t, "upgrade", append([]string{r.chart, "--set", r.changed}, r.values...)...)
	if second := r.objects(t); !slices.Equal(second, first) || !r.has(t, "241s") {
		t.Errorf("after the upgrade there is %q, and the new value is there: %v", second, r.has(t, "241s"))
	}

	r.helm(t, "rollback", "1")
	if third := r.objects(t); !slices.Equal(third, first) || r.has(t, "241s") {
		t.Errorf("after the rollback there is %q, and the new value is still there: %v", third, r.has(t, "241s"))
	}

	manifest := r.manifest(t)
	r.helm(t, "uninstall")
	left, err := r.Kubectl(manifest, "get", "--namespace", r.namespace, "--ignore-not-found", "--output=name", "--filename=-")
	if err != nil || left != "" {
		t.Errorf("uninstalled, there is still %q: %v", left, err)
	}
	if !t.Failed() {
		r.note("| %s | %s | yes | yes | yes |", r.name, strings.Join(count(first), ", "))
	}
}

// strictly is an install that forgets what the server would forgive, such as an
// unknown field.
func (r release) strictly(t *testing.T) {
	t.Helper()
	rendered, err := r.Helm(append([]string{"template", "release", r.chart, "--namespace", r.namespace, "--set", r.changed}, r.values...)...)
	if err == nil {
		_, err = r.Kubectl(rendered, "apply", "--namespace", r.namespace, "--dry-run=server", "--validate=strict", "--filename=-")
	}
	if err != nil {
		t.Error(err)
	}
}

// restricted wants the containers of the chart let into a namespace that enforces the
// strictest of the Pod Security Standards. Only pods are held to them, and no
// controller makes one here.
func (r release) restricted(t *testing.T) {
	t.Helper()
	const strict = "strict"
	r.ensure(t, strict)
	if _, err := r.Kubectl("", "label", "--overwrite", "namespace", strict, "pod-security.kubernetes.io/enforce=restricted"); err != nil {
		t.Fatal(err)
	}
	for _, o := range r.served(t) {
		if o.kind() != "Deployment" {
			continue
		}
		if err := r.judge(t, strict)(o.pod(t)); err != nil {
			t.Errorf("the pod of %s is not let in: %v", o.name(), err)
		}
	}
}

func (r release) helm(t *testing.T, verb string, args ...string) string {
	t.Helper()
	out, err := r.Helm(append([]string{verb, "release", "--namespace", r.namespace}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// manifest is what the release consists of, by helm.
func (r release) manifest(t *testing.T) string {
	t.Helper()
	out, err := r.Helm("get", "manifest", "release", "--namespace", r.namespace)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// served are the objects of the release, as the server has them: one that is not
// there is an error.
func (r release) served(t *testing.T) []object {
	t.Helper()
	manifest := r.manifest(t)
	out, err := r.Kubectl(manifest, "get", "--namespace", r.namespace, "--output=json", "--filename=-")
	if err != nil {
		t.Fatal(err)
	}
	var answer object
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	found := []object{answer}
	if items, ok := answer["items"].([]any); ok {
		found = nil
		for _, item := range items {
			found = append(found, object(item.(map[string]any)))
		}
	}
	if want := len(parse(t, manifest)); len(found) != want {
		t.Fatalf("the server has %d objects, the manifest %d", len(found), want)
	}
	return found
}

// objects are the kinds and names of the release, in order.
func (r release) objects(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, o := range r.served(t) {
		names = append(names, o.kind()+"/"+o.name())
	}
	slices.Sort(names)
	return names
}

// has tells whether an object of the release has the text in its data or spec.
func (r release) has(t *testing.T, text string) bool {
	t.Helper()
	return slices.ContainsFunc(r.served(t), func(o object) bool {
		return strings.Contains(fmt.Sprint(o["data"], o["spec"]), text)
	})
}

// count shortens kind/name to kinds, with how many there are of each.
func count(names []string) []string {
	var kinds []string
	number := make(map[string]int)
	for _, name := range names {
		kind, _, _ := strings.Cut(name, "/")
		if number[kind]++; number[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	for i, kind := range kinds {
		if n := number[kind]; n > 1 {
			kinds[i] = fmt.Sprintf("%d %ss", n, kind)
		}
	}
	return kinds
}
