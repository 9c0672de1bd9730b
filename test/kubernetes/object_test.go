//go:build kubernetes

package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// object is one document of a manifest.
type object map[string]any

func (o object) kind() string { s, _ := o["kind"].(string); return s }

func (o object) metadata() map[string]any { m, _ := o["metadata"].(map[string]any); return m }

func (o object) name() string { s, _ := o.metadata()["name"].(string); return s }

func (o object) namespace() string { s, _ := o.metadata()["namespace"].(string); return s }

// pod is one of a Deployment, with no other containers than those of the chart:
// the rest is its user's.
func (o object) pod(t *testing.T) object {
	t.Helper()
	spec := o.copy(t)["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	var ours []any
	for _, key := range []string{"initContainers", "containers"} {
		containers, _ := spec[key].([]any)
		for _, container := range containers {
			if c := container.(map[string]any); c["name"] == "lamplighter" || c["name"] == "envoy" {
				delete(c, "restartPolicy") // which makes one of initContainers a sidecar
				ours = append(ours, c)
			}
		}
	}
	if len(ours) == 0 {
		t.Errorf("Deployment %s has no container of the chart", o.name())
	}
	delete(spec, "initContainers")
	spec["containers"] = ours
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": o.name()}, "spec": spec}
}

// text is the object as kubectl reads it.
func (o object) text(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// copy shares nothing with o.
func (o object) copy(t *testing.T) object {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(o.text(t)))
	decoder.UseNumber()
	var c object
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// parse reads the documents of a YAML text; empty ones do not count.
func parse(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("read YAML: %v", err)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
}

// place is the way to a value: keys of maps and numbers of list items.
type place []any

func (p place) String() string {
	var s strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			s.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if s.Len() > 0 {
				s.WriteByte('.')
			}
			s.WriteString(step)
		}
	}
	return s.String()
}

// leaves are the places of all that is neither a map nor a list, in order.
func leaves(value any, at place) []place {
	var found []place
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			found = append(found, leaves(value[key], append(slices.Clone(at), key))...)
		}
	case []any:
		for i, item := range value {
			found = append(found, leaves(item, append(slices.Clone(at), i))...)
		}
	default:
		found = append(found, at)
	}
	return found
}

// swap puts another value at a place of o, and returns the one that was there.
func (o object) swap(at place, other any) any {
	var here any = map[string]any(o)
	for i, step := range at {
		last := i == len(at)-1
		switch step := step.(type) {
		case int:
			list := here.([]any)
			if here = list[step]; last {
				list[step] = other
			}
		case string:
			fields := here.(map[string]any)
			if here = fields[step]; last {
				fields[step] = other
			}
		}
	}
	return here
}
