package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// node is the part of JSON Schema that our schema uses.
type node struct {
	Schema               string           `json:"$schema"`
	Type                 string           `json:"type"`
	Description          string           `json:"description"`
	Properties           map[string]*node `json:"properties"`
	AdditionalProperties any              `json:"additionalProperties"`
	Required             []string         `json:"required"`
	Items                *node            `json:"items"`
	AnyOf                []*node          `json:"anyOf"`
	Enum                 []any            `json:"enum"`
	Default              any              `json:"default"`
	Pattern              string           `json:"pattern"`
	Minimum, Maximum     *float64
	MinProperties        int
	MaxProperties        *int
}

func schema(t *testing.T) *node {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var n node
	if err := json.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return &n
}

// validate judges a value by the schema; used holds the keys that were met.
func validate(n *node, v any, path string, used map[string]bool) (wrong []string) {
	used[path] = true
	bad := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	if len(n.AnyOf) > 0 {
		if !slices.ContainsFunc(n.AnyOf, func(m *node) bool { return len(validate(m, v, path, used)) == 0 }) {
			bad("fits no alternative")
		}
		return wrong
	}
	switch n.Type {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			bad("is %T", v)
		}
		for _, key := range n.Required {
			if _, ok := m[key]; !ok {
				bad("lacks %s", key)
			}
		}
		if len(m) < n.MinProperties || n.MaxProperties != nil && len(m) > *n.MaxProperties {
			bad("has %d keys", len(m))
		}
		for key, value := range m {
			property, ok := n.Properties[key]
			if open, isMap := n.AdditionalProperties.(map[string]any); !ok && isMap && open["type"] == "string" {
				property, ok = &node{Type: "string"}, true
			}
			if !ok {
				bad("has no key %s", key)
				continue
			}
			wrong = append(wrong, validate(property, value, path+"."+key, used)...)
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			bad("is %T", v)
		}
		for _, item := range list {
			wrong = append(wrong, validate(n.Items, item, path+"[]", used)...)
		}
	case "string":
		text, ok := v.(string)
		if !ok || n.Pattern != "" && !regexp.MustCompile(n.Pattern).MatchString(text) {
			bad("%v is %T, or does not match", v, v)
		}
	case "integer":
		number, ok := v.(float64)
		if !ok || n.Minimum != nil && number < *n.Minimum || n.Maximum != nil && number > *n.Maximum {
			bad("%v is %T, or out of range", v, v)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			bad("is %T", v)
		}
	default:
		bad("schema has type %q", n.Type)
	}
	if len(n.Enum) > 0 && !slices.Contains(n.Enum, v) {
		bad("%v is not in %v", v, n.Enum)
	}
	return wrong
}

// paths lists every key of the schema.
func paths(n *node, path string, all map[string]*node) {
	all[path] = n
	for key, property := range n.Properties {
		paths(property, path+"."+key, all)
	}
	if n.Items != nil {
		paths(n.Items, path+"[]", all)
	}
}

// document reads YAML as a JSON value.
func document(t *testing.T, src []byte) any {
	t.Helper()
	text, err := yaml.YAMLToJSON(src)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchema(t *testing.T) {
	t.Parallel()
	root, used, all := schema(t), map[string]bool{}, map[string]*node{}
	if root.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", root.Schema)
	}
	for _, name := range []string{"full.yaml", "replicas.yaml", "users.yaml"} { // some keys exclude each other
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range validate(root, document(t, text), "", used) {
			t.Errorf("%s%s", name, wrong)
		}
	}
	paths(root, "", all)
	for path, n := range all {
		if !used[path] && path != ".store.memory" {
			t.Errorf("no example shows %s", path)
		}
		if n.Description == "" && path != "" && path[len(path)-1] != ']' {
			t.Errorf("%s has no description", path)
		}
		if n.Type == "object" && path != ".headers.claims" && path != ".provider.authorization_params" && n.AdditionalProperties != false {
			t.Errorf("%s takes any key", path)
		}
	}
	for path, want := range map[string]any{
		".session.idle": "1h", ".cache.max_bytes": "64MiB", ".sweep.enabled": true, ".sweep.rate": 300.0,
		".refresh.on_due": "background", ".listen.admin": "127.0.0.1:9192", ".rules[].bearer": "strip",
	} {
		if n := all[path]; n == nil || n.Default != want {
			t.Errorf("%s: %+v, want the default %v", path, n, want)
		}
	}
	if got, want := all[".session.idle"].Description, "A session unused for this long ends. 1s to 2160h."; got != want {
		t.Errorf("description %q, want %q", got, want)
	}
	if got := slices.Sorted(slices.Values(root.Required)); !slices.Equal(got, []string{"external_url", "provider", "session", "store"}) {
		t.Errorf("required: %q", got)
	}
}

// Schema and Parse agree on what one key may hold.
func TestSchemaAndParseAgree(t *testing.T) {
	t.Parallel()
	root := schema(t)
	for extra, good := range map[string]bool{
		"":                                true,
		"app: x":                          true,
		"app: 7":                          false,
		"colour: red":                     false,
		"cache: {max_bytes: 2097152}":     true,
		"cache: {max_bytes: 2MiB}":        true,
		"cache: {max_bytes: 2MB}":         false,
		"cache: {ttl: 1m0.5s}":            true,
		"cache: {ttl: 60}":                false,
		"cache: {ttl: \"60\"}":            false,
		"cache: {ttl: 1d}":                false,
		"sweep: {rate: 0}":                false,
		"sweep: {rate: \"5\"}":            false,
		"sweep: {enabled: 1}":             false,
		"log: {level: trace}":             false,
		"rules: [{session: none}]":        false,
		"rules: {}":                       false,
		"headers: {claims: {a: X-A}}":     true,
		"headers: {claims: {a: 1}}":       false,
		"refresh: {on_due: never}":        false,
		"listen: {check: 5, admin: ':0'}": false,
	} {
		src := []byte(base + extra)
		_, err := config.Parse(src, nil)
		wrong := validate(root, document(t, src), "", map[string]bool{})
		if (err == nil) != good || (len(wrong) == 0) != good {
			t.Errorf("%q: want good=%v; Parse says %v, schema says %v", extra, good, err, wrong)
		}
	}
	for param, good := range map[string]bool{"{prompt: consent}": true, "{max_age: \"5\"}": true, "{max_age: 5}": false, "[prompt]": false} {
		src := []byte(with("client_id: app", "client_id: app, authorization_params: "+param))
		_, err := config.Parse(src, nil)
		wrong := validate(root, document(t, src), "", map[string]bool{})
		if (err == nil) != good || (len(wrong) == 0) != good {
			t.Errorf("authorization_params: %s: want good=%v; Parse says %v, schema says %v", param, good, err, wrong)
		}
	}
	for name, src := range map[string]string{
		"two stores": with("{memory: {}}", "{memory: {}, bolt: {path: x}}"), "no store": with("{memory: {}}", "{}"), "empty": "{}",
	} {
		if wrong := validate(root, document(t, []byte(src)), "", map[string]bool{}); len(wrong) == 0 {
			t.Errorf("%s: the schema does not mind", name)
		}
	}
}

// What a file that names nothing but the defaults says is Default.
func TestDefaultsOfSchemaAreDefaults(t *testing.T) {
	t.Parallel()
	all := map[string]*node{}
	paths(schema(t), "", all)
	file := document(t, []byte(base)).(map[string]any)
	set := func(section, key string, value any) {
		m, ok := file[section].(map[string]any)
		if !ok {
			m = map[string]any{}
			file[section] = m
		}
		m[key] = value
	}
	for _, section := range []string{"listen", "refresh", "sweep", "cache", "log"} {
		for key, n := range all["."+section].Properties {
			if n.Default == nil {
				if at := section + "." + key; at != "listen.tls" && at != "listen.metrics" { // there is none
					t.Errorf("%s has no default", at)
				}
				continue
			}
			set(section, key, n.Default)
		}
	}
	src, err := json.Marshal(file) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse(src, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	want := config.Default()
	if got.Listen != want.Listen || got.Refresh != want.Refresh || got.Sweep != want.Sweep || got.Cache != want.Cache || got.Log != want.Log {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if n := len(slices.Collect(maps.Keys(all))); n < 50 {
		t.Errorf("only %d keys in the schema", n)
	}
}
