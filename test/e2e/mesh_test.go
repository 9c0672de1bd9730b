package e2e

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// The whole of this package passes behind what the provider of an Istio mesh sends
// (envoy/bare.yaml: make test-envoys), but for what needs a retry of the Check. This
// is the same with the EnvoyFilter of k8s/istio merged into it, as Istio does it.
func meshWithFilter(bootstrap map[string]any) error {
	text, err := os.ReadFile("../../k8s/istio/sidecar-envoy-filter.yaml")
	if err != nil {
		return err
	}
	var filter map[string]any
	if err := yaml.Unmarshal(text, &filter); err != nil {
		return err
	}
	manager, err := envoytest.Lookup(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0)
	if err != nil {
		return err
	}
	authz, err := envoytest.Lookup(manager, "typed_config", "http_filters", 0)
	if err != nil {
		return err
	}
	for i, target := range []map[string]any{authz, manager} {
		value, err := envoytest.Lookup(filter, "spec", "configPatches", i, "patch", "value")
		if err != nil {
			return err
		}
		if value["name"] != target["name"] {
			return fmt.Errorf("patch %d is for %v, not for %v", i, value["name"], target["name"])
		}
		merge(target, value)
	}
	return nil
}

// merge is protobuf's: what is in from replaces or extends what is in to.
func merge(to, from map[string]any) {
	for key, value := range from {
		inner, both := to[key].(map[string]any)
		if more, ok := value.(map[string]any); ok && both {
			merge(inner, more)
			continue
		}
		to[key] = value
	}
}

func TestEnvoyFilterOverAMesh(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{
		Bootstrap: envoytest.Bare, Mutate: meshWithFilter, Config: "headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name}",
	})
	b := s.Browser(t)
	b.Login("/", "ada")
	if who := b.Fetch("/", "X-User-ID: mallory").Echo(t).Headers["x-user-id"]; len(who) != 1 || who[0] == "mallory" || who[0] == "" {
		t.Errorf("the app is told of %q", who)
	}
	for what, a := range map[string]stack.Answer{
		"a name with an underscore": b.Fetch("/", "X_User_ID: mallory"), "an escaped slash": b.Fetch("/a%2Fb"),
	} {
		if a.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", what, a)
		}
	}
	if err := s.Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	if a := b.Fetch("/"); a.Status == http.StatusOK {
		t.Errorf("nobody to ask: %v", a)
	}
}
