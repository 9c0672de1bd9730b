package chart_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/test/chart"
)

const (
	root     = "../.."
	chartDir = root + "/k8s/chart"
)

var update = flag.Bool("update", false, "write what is generated, instead of comparing it")

// generated compares a file of the checkout with what it has to be.
func generated(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what is generated; write it anew: go test -tags kubernetes ./test/chart -update", name)
	}
}

func TestSchemaIsGenerated(t *testing.T) {
	t.Parallel()
	want, err := chart.Schema()
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "k8s/chart/values.schema.json", want)
}

// Helm reads files below the chart only.
func TestEnvoyTemplateIsTheOneThatIsPrinted(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(root + "/pkg/manifest/envoy.yaml.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "k8s/chart/files/envoy.yaml.tmpl", want)
}

type node struct {
	Type                 string           `json:"type"`
	Properties           map[string]*node `json:"properties"`
	AdditionalProperties any              `json:"additionalProperties"`
	Items                *node            `json:"items"`
}

func readSchema(t *testing.T) *node {
	t.Helper()
	text, err := chart.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var n node
	if err := json.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return &n
}

// A key is of no use to those who do not see it: values.yaml has all of them, and
// no other. Config has its own list, which `lamplighter schema` prints.
func TestValuesShowEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var known, shown []string
	var walk func(path string, n *node, v any)
	walk = func(path string, n *node, v any) {
		given, _ := v.(map[string]any)
		for key, property := range n.Properties {
			if at := strings.TrimPrefix(path+"."+key, "."); at != "enabled" && at != "global" { // not for users
				known = append(known, at)
				if at != "config" {
					walk(at, property, given[key])
				}
			}
		}
		if len(n.Properties) > 0 {
			for key := range given {
				shown = append(shown, strings.TrimPrefix(path+"."+key, "."))
			}
		}
	}
	walk("", readSchema(t), values)
	slices.Sort(known)
	slices.Sort(shown)
	if !slices.Equal(known, shown) {
		t.Errorf("the types know\n%q\nvalues.yaml shows\n%q", known, shown)
	}
	if len(known) < 80 {
		t.Errorf("only %d keys", len(known))
	}
}

// Whoever opens values.yaml sees first what our users ask for first.
func TestValuesStartWithWhatIsTuned(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	top := strings.Join(strings.SplitN(string(text), "\n", 21)[:20], "\n")
	for _, want := range []string{"token_refresh_threshold: 300s", "check_interval: 300s", "jitter: 30ms"} {
		if !strings.Contains(top, want) {
			t.Errorf("the first 20 lines lack %s", want)
		}
	}
}

// A typo is refused in every object that is ours. The others are Kubernetes'.
func TestSchemaIsClosed(t *testing.T) {
	t.Parallel()
	closed, open := 0, 0
	var walk func(path string, n *node)
	walk = func(path string, n *node) {
		if n.Type == "object" {
			if _, ofOneKind := n.AdditionalProperties.(map[string]any); ofOneKind {
			} else if n.AdditionalProperties == false {
				closed++
			} else if len(n.Properties) == 0 {
				open++
			} else {
				t.Errorf("%s takes any key", path)
			}
		}
		for key, property := range n.Properties {
			walk(path+"."+key, property)
		}
		if n.Items != nil {
			walk(path+"[]", n.Items)
		}
	}
	walk("", readSchema(t))
	if closed < 30 || open < 10 {
		t.Errorf("%d objects are closed and %d open", closed, open)
	}
}
