//go:build kubernetes

package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
)

// appText is what helm makes of testdata/app, a chart of somebody else that has
// ours as a dependency.
func appText(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.CopyFS(dir, os.DirFS("testdata/app")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "charts/lamplighter"), os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "helm", append([]string{"template", "lamplighter", dir, "--kube-version", "1.37.0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func appChart(t *testing.T, args ...string) []object {
	t.Helper()
	return objects(t, appText(t, args...))
}

func kustomized(t *testing.T, dir string) string {
	t.Helper()
	out, err := run(t, "kubectl", "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whoever has kustomize gets the pods that whoever has helm gets.
func TestKustomizeAndHelmMakeTheSamePods(t *testing.T) {
	t.Parallel()
	got, want := podSpec(t, objects(t, kustomized(t, "testdata/kustomize"))), podSpec(t, appChart(t))
	want["volumes"] = wholeSecret(want["volumes"].([]any))
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(byName(got[key]), byName(want[key])) {
			t.Errorf("%s: kustomize has\n%v\nhelm has\n%v", key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("kustomize has %v, helm has %v", got, want)
	}
	if !reflect.DeepEqual(order(got["initContainers"]), order(want["initContainers"])) {
		t.Errorf("kustomize starts %v, helm %v", order(got["initContainers"]), order(want["initContainers"]))
	}
}

// A pod of a StatefulSet that was asked for, and stayed as it was, would be open.
func TestStatefulSetsHaveTheSidecarsToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for to, from := range map[string]string{dir: "testdata/kustomize", filepath.Join(dir, "component"): root + "/k8s/kustomize/envoy"} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for file, change := range map[string][2]string{
		"kustomization.yaml": {"../../../../k8s/kustomize/envoy", "component"}, "deployment.yaml": {"kind: Deployment", "kind: StatefulSet"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pod := at(kind(objects(t, kustomized(t, dir)), "StatefulSet"), "spec", "template", "spec", "initContainers")
	if got := order(pod); !reflect.DeepEqual(got, []any{"lamplighter", "envoy", "migrate"}) {
		t.Errorf("it starts %v", got)
	}
}

// byName makes a list a mapping: the order of volumes means nothing.
func byName(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	m := map[any]any{}
	for _, item := range list {
		m[at(item, "name")] = item
	}
	return m
}

func order(v any) (names []any) {
	for _, item := range v.([]any) {
		names = append(names, at(item, "name"))
	}
	return names
}

// The patches of the components are what the chart renders.
func TestComponentsAreWhatTheChartRenders(t *testing.T) {
	t.Parallel()
	for name, envoy := range map[string]string{"envoy": "true", "istio": "false"} {
		pod := podSpec(t, appChart(t, "--set", "lamplighter.image.repository=lamplighter,lamplighter.sidecar.envoy.enabled="+envoy))
		patch, err := yaml.Marshal(yaml.MapSlice{
			{Key: "apiVersion", Value: "apps/v1"},
			{Key: "kind", Value: "Deployment"},
			{Key: "metadata", Value: object{"name": "any"}},
			{Key: "spec", Value: object{"template": object{"spec": yaml.MapSlice{
				{Key: "securityContext", Value: pod["securityContext"]},
				{Key: "initContainers", Value: without(pod["initContainers"], "migrate")},
				{Key: "volumes", Value: wholeSecret(without(pod["volumes"], "scratch"))},
			}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		generated(t, "k8s/kustomize/"+name+"/sidecar.yaml", append([]byte("# What the chart renders; a test writes it.\n"), patch...))
	}
}

// without leaves out what is the app's own.
func without(v any, name string) []any {
	return slices.DeleteFunc(slices.Clone(v.([]any)), func(item any) bool { return at(item, "name") == name })
}

// wholeSecret mounts every key of the Secret by its own name: a component does not know
// which of them the config asks for, such as the password of Redis.
func wholeSecret(volumes []any) []any {
	for _, v := range volumes {
		if at(v, "name") == "lamplighter-secrets" {
			delete(at(v, "secret").(map[string]any), "items")
		}
	}
	return volumes
}

// The example's bootstrap fits its config, as `lamplighter print envoy` says.
func TestTheExampleOfKustomizeFitsTogether(t *testing.T) {
	t.Parallel()
	c, err := config.Load("testdata/kustomize/lamplighter.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := manifest.Envoy(&want, c, manifest.Gateway{Listen: "0.0.0.0:8080", App: "127.0.0.1:3000"}); err != nil {
		t.Fatal(err)
	}
	generated(t, "test/chart/testdata/kustomize/envoy.yaml", []byte(want.String()))
	if got := parsed(t, appChart(t)); !reflect.DeepEqual(got, c) {
		t.Errorf("the chart's config differs:\n%+v\n%+v", got, c)
	}
}
