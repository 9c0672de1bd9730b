package config

import (
	"reflect"
	"strings"
	"testing"
)

// Two paths that differ in "." and "_" only would share a variable.
func TestVariablesAreUnique(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for path := range scalars(reflect.TypeFor[Config]()) {
		name := variable(path)
		if other, twice := seen[name]; twice {
			t.Errorf("%s sets both %s and %s", name, other, path)
		}
		seen[name] = path
		for _, value := range []string{"", "tcp://10.0.0.1:1"} {
			if serviceLink.MatchString(name + "=" + value) {
				t.Errorf("%s looks like a variable of Kubernetes", name)
			}
		}
	}
	for _, name := range []string{"LAMPLIGHTER_EXTERNAL_URL", "LAMPLIGHTER_STORE_BOLT_PATH", "LAMPLIGHTER_SESSION_COOKIE_NAME"} {
		if seen[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for name := range seen {
		if strings.Contains(name, "RULES") || strings.Contains(name, "SCOPES") || strings.Contains(name, "CLAIMS") {
			t.Errorf("%s is in a list or map", name)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"client_id", "client_secret_file", "issuer", "scopes"}
	for written, want := range map[string]string{
		"clientid": "client_id", "client_secret": "client_secret_file", "Issuer": "issuer", "isuer": "issuer",
		"scope": "scopes", "colour": "", "x": "", "": "", "id": "", "cl": "", "iss": "",
	} {
		if got := nearest(written, known); got != want {
			t.Errorf("%q: %q, want %q", written, got, want)
		}
	}
}
