package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/lamplighter/lamplighter/pkg/manifest"
)

// What is printed for one workload, route or namespace must not take the place of what
// was printed for another: that one would be open.
func TestManifestsOfOthersStay(t *testing.T) {
	t.Parallel()
	identities := func(config string, print printer) (all []string) {
		var out strings.Builder
		if err := print(&out, parsed(t, config)); err != nil {
			t.Fatal(err)
		}
		for dec := yaml.NewDecoder(strings.NewReader(out.String())); ; {
			var o struct {
				Kind     string
				Metadata struct{ Name, Namespace string }
			}
			if err := dec.Decode(&o); err != nil {
				return all
			}
			if o.Kind != "ServiceEntry" { // which is for all pods of the namespace
				all = append(all, o.Kind+" "+o.Metadata.Namespace+"/"+o.Metadata.Name)
			}
		}
	}
	workload := func(selector map[string]string) manifest.Mesh {
		return manifest.Mesh{Namespace: "x", Selector: selector}
	}
	at := func(namespace, name, gateway string) manifest.Route {
		return manifest.Route{Namespace: namespace, Name: name, Gateway: gateway, App: "a", AppPort: 80, Service: "s", ServiceNamespace: "y"}
	}
	for name, c := range map[string]struct {
		config    string
		one, next printer
	}{
		"policies":         {beside, mesh(manifest.Istio, workload(map[string]string{"app": "web"})), mesh(manifest.Istio, workload(map[string]string{"app": "api"}))},
		"another label":    {beside, mesh(manifest.Istio, workload(map[string]string{"app": "web"})), mesh(manifest.Istio, workload(map[string]string{"app": "web", "v": "2"}))},
		"filters":          {beside, mesh(manifest.IstioEnvoyFilter, workload(map[string]string{"app": "web"})), mesh(manifest.IstioEnvoyFilter, workload(map[string]string{"app": "api"}))},
		"routes":           {elsewhere, route(manifest.EnvoyGateway, at("y", "web", "")), route(manifest.EnvoyGateway, at("y", "api", ""))},
		"gateways":         {elsewhere, route(manifest.EnvoyGateway, at("y", "web", "g")), route(manifest.EnvoyGateway, at("y", "api", "h"))},
		"namespaces":       {elsewhere, route(manifest.EnvoyGateway, at("x", "web", "g")), route(manifest.EnvoyGateway, at("z", "web", "g"))},
		"kinds of gateway": {elsewhere, route(manifest.EnvoyGateway, at("x", "web", "g")), route(manifest.GatewayAPI, at("x", "web", "g"))},
	} {
		one, next := identities(c.config, c.one), identities(c.config, c.next)
		if len(one) == 0 || slices.ContainsFunc(one, func(o string) bool { return slices.Contains(next, o) }) {
			t.Errorf("%s: %q, then %q", name, one, next)
		}
	}
	if got := identities(beside, mesh(manifest.Istio, workload(map[string]string{"app": "My_App.v2", "z": ""})))[0]; got != "AuthorizationPolicy x/lamplighter-my-app-v2" {
		t.Error(got)
	}
}
