//go:build kubernetes

package kubernetes

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/tools"
)

// manifests applies all that k8s has beside the chart.
func (w *world) manifests(t *testing.T) {
	w.note("\n| manifest | accepted | refused: an unknown field | a value of another type | an unknown word |\n|---|---|---|---|---|")
	for _, dir := range []string{"istio", "envoy-gateway", "gateway-api"} {
		for _, file := range w.files(t, "k8s/"+dir+"/*.yaml") {
			name, err := filepath.Rel(w.root, file)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name, func(t *testing.T) {
				if strings.HasSuffix(name, "-mesh-config.yaml") {
					w.meshConfig(t, name, read(t, file))
					return
				}
				w.accepted(t, name, dir, read(t, file))
			})
		}
	}
	w.components(t)
}

// accepted applies a manifest, and broken copies of each of its objects.
func (w *world) accepted(t *testing.T, name, namespace, text string) {
	t.Helper()
	for _, o := range w.applied(t, namespace, text) {
		fresh := o.copy(t)
		fresh.metadata()["name"] = o.name() + "-broken" // so that it is compared with nothing
		w.note("| `%s` | %s | %s |", name, o.kind(), w.judge(t, w.home(t, o, namespace)).refusals(t, fresh))
	}
}

// applied are the objects of a manifest, which the server has taken.
func (w *world) applied(t *testing.T, namespace, text string) []object {
	t.Helper()
	objects := parse(t, text)
	if len(objects) == 0 {
		t.Fatal("a manifest without an object")
	}
	for _, o := range objects {
		if _, err := w.Kubectl(o.text(t), "apply", "--namespace", w.home(t, o, namespace), "--validate=strict", "--filename=-"); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// home is the namespace of o, or another if it names none; it is made if need be.
func (w *world) home(t *testing.T, o object, other string) string {
	t.Helper()
	name := o.namespace()
	if name == "" {
		name = other
	}
	w.ensure(t, name)
	return name
}

// judge is the server, without effect.
func (w *world) judge(t *testing.T, namespace string) judge {
	return func(o object) error {
		_, err := w.Kubectl(o.text(t), "apply", "--namespace", namespace, "--dry-run=server", "--validate=strict", "--filename=-")
		return err
	}
}

// meshConfig judges values of the chart of istiod by the types of Istio: what they
// become is text to the API server.
func (w *world) meshConfig(t *testing.T, name, text string) {
	t.Helper()
	check := tools.Tool(t, "mesh-config")
	var ask judge = func(o object) error {
		cmd := exec.Command(check)
		cmd.Stdin = strings.NewReader(o.text(t))
		return child.Run(t.Context(), cmd)
	}
	values := parse(t, text)[0]
	config, _ := values["meshConfig"].(map[string]any)
	if err := ask(config); len(values) != 1 || len(config) == 0 || err != nil {
		t.Fatalf("%s is no MeshConfig: %v", name, err)
	}
	w.note("| `%s` | MeshConfig, by Istio's own types | %s |", name, ask.refusals(t, config))
}
