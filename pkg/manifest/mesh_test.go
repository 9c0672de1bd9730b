package manifest_test

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
)

var update = flag.Bool("update", false, "write the shipped manifests anew")

const (
	beside = `listen: {check: "127.0.0.1:9191", metrics: "0.0.0.0:9193"}
headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name}
`
	elsewhere = `listen: {check: "0.0.0.0:9191"}
headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name}
`
	withTLS = `listen: {check: "0.0.0.0:9191", tls: {cert_file: c, key_file: k}}
`
)

type printer func(io.Writer, config.Config) error

func mesh(render func(io.Writer, config.Config, manifest.Mesh) error, m manifest.Mesh) printer {
	return func(w io.Writer, c config.Config) error { return render(w, c, m) }
}

func route(render func(io.Writer, config.Config, manifest.Route) error, r manifest.Route) printer {
	return func(w io.Writer, c config.Config) error { return render(w, c, r) }
}

func parsed(t *testing.T, more string) config.Config {
	t.Helper()
	c, err := config.Parse([]byte(least+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is shipped under k8s is what is printed.
func TestTheShippedManifestsArePrinted(t *testing.T) {
	t.Parallel()
	web := manifest.Mesh{Namespace: "shop", Selector: map[string]string{"app": "web"}}
	ingress := manifest.Mesh{
		Namespace: "istio-ingress", Selector: map[string]string{"istio": "ingress"}, Gateway: true, Service: "lamplighter.lamplighter.svc.cluster.local",
	}
	shop := manifest.Route{Namespace: "shop", Name: "web", Gateway: "public", App: "web", AppPort: 80, Service: "lamplighter", ServiceNamespace: "lamplighter"}
	for file, c := range map[string]struct {
		config string
		print  printer
	}{
		"istio/sidecar.yaml":               {beside, mesh(manifest.Istio, web)},
		"istio/sidecar-mesh-config.yaml":   {beside, mesh(manifest.IstioMeshConfig, web)},
		"istio/sidecar-envoy-filter.yaml":  {beside, mesh(manifest.IstioEnvoyFilter, web)},
		"istio/gateway.yaml":               {elsewhere, mesh(manifest.Istio, ingress)},
		"istio/gateway-mesh-config.yaml":   {elsewhere, mesh(manifest.IstioMeshConfig, ingress)},
		"istio/gateway-envoy-filter.yaml":  {elsewhere, mesh(manifest.IstioEnvoyFilter, ingress)},
		"envoy-gateway/envoy-gateway.yaml": {elsewhere, route(manifest.EnvoyGateway, shop)},
		"gateway-api/gateway-api.yaml":     {elsewhere, route(manifest.GatewayAPI, shop)},
	} {
		var out strings.Builder
		if err := c.print(&out, parsed(t, c.config)); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		path := "../../k8s/" + file
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		shipped, err := os.ReadFile(path)
		if err != nil || string(shipped) != out.String() {
			t.Errorf("k8s/%s is not what is printed, %v (go test ./pkg/manifest -update writes it)", file, err)
		}
	}
}

func TestManifestsFollowTheConfig(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"b": "2", "a": "1"}
	for _, c := range []struct {
		config string
		print  printer
		want   []string
	}{
		{"listen: {check: \"[::1]:9000\"}\nrefresh: {max_wait: 6500ms}", mesh(manifest.IstioMeshConfig, manifest.Mesh{Namespace: "x"}), []string{"service: \"x/lamplighter.internal\"\n", "port: 9000\n", "timeout: 8.5s\n"}},
		{"listen: {check: \"[::1]:9000\"}", mesh(manifest.Istio, manifest.Mesh{Namespace: "x", Selector: labels}), []string{
			"hosts: [\"lamplighter.internal\"]\n  exportTo: [\".\"]\n", "- address: \"::1\"\n", "number: 9000,", "  rules:\n  - {}\n", "      \"a\": \"1\"\n      \"b\": \"2\"\n  action: CUSTOM\n", "- issuer: \"https://id.example.com\"\n", "namespace: \"x\"\n",
		}},
		{"listen: {check: \":9000\"}\nrefresh: {max_wait: 6500ms}", route(manifest.EnvoyGateway, manifest.Route{Namespace: "x", Name: "r", Service: "s"}), []string{
			"timeout: 8500ms\n", "maxInterval: 17s}", "- {name: \"s\", namespace: \"x\", port: 9000}\n", "name: \"r\"}\n",
		}},
		{elsewhere, route(manifest.EnvoyGateway, manifest.Route{Namespace: "x", Name: "r", Gateway: "g", GatewayNamespace: "z", Service: "s"}), []string{
			"kind: ClientTrafficPolicy\nmetadata:\n  name: \"lamplighter-g\"\n  namespace: \"z\"\n",
		}},
		{withTLS, route(manifest.GatewayAPI, manifest.Route{Namespace: "x", Name: "r", Gateway: "g", GatewayNamespace: "z", App: "a", AppPort: 3000, Service: "s", ServiceNamespace: "y", CAConfigMap: "ca"}), []string{
			"- {name: \"g\", namespace: \"z\"}\n",
			"- {name: \"a\", port: 3000}\n", "hostname: \"s.y.svc\"\n", "name: \"ca\"}\n", "kind: ReferenceGrant\n", "- {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: \"x\"}\n", "- \"app.example.com\"\n",
		}},
	} {
		var out strings.Builder
		if err := c.print(&out, parsed(t, c.config)); err != nil {
			t.Errorf("%s: %v", c.config, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("not there: %q in\n%s", want, &out)
			}
		}
	}
	var out strings.Builder
	if err := manifest.Istio(&out, parsed(t, beside), manifest.Mesh{Namespace: "x", Selector: labels, OpaqueTokens: true}); err != nil || strings.Contains(out.String(), "jwtRules") {
		t.Errorf("opaque tokens: %v\n%s", err, &out)
	}
}

func TestManifestsRefuse(t *testing.T) {
	t.Parallel()
	app := map[string]string{"app": "web"}
	good := manifest.Route{Namespace: "x", Name: "r", Gateway: "g", App: "a", AppPort: 80, Service: "s"}
	with := func(change func(*manifest.Route)) manifest.Route { r := good; change(&r); return r }
	for name, c := range map[string]struct {
		config string
		print  printer
		says   string
	}{
		"a socket, to a mesh":       {"", mesh(manifest.Istio, manifest.Mesh{Namespace: "x", Selector: app}), "127.0.0.1:9191"},
		"a socket, to a gateway":    {"", route(manifest.EnvoyGateway, good), "0.0.0.0:9191"},
		"localhost, to a gateway":   {beside, route(manifest.GatewayAPI, good), "0.0.0.0:9191"},
		"localhost, and a Service":  {beside, mesh(manifest.Istio, manifest.Mesh{Namespace: "x", Selector: app, Service: "s.x.svc"}), "leave out the Service"},
		"elsewhere, and no Service": {elsewhere, mesh(manifest.IstioMeshConfig, manifest.Mesh{}), "name the Service"},
		"everybody":                 {beside, mesh(manifest.Istio, manifest.Mesh{Namespace: "x"}), "label"},
		"a mesh without namespace":  {beside, mesh(manifest.IstioMeshConfig, manifest.Mesh{}), "namespace"},
		"no namespace":              {beside, mesh(manifest.Istio, manifest.Mesh{Selector: app}), "namespace"},
		"TLS, and a mesh":           {withTLS, mesh(manifest.Istio, manifest.Mesh{Namespace: "x", Selector: app, Service: "s.x.svc"}), "listen.tls"},
		"TLS without CA":            {withTLS, route(manifest.EnvoyGateway, good), "listen.tls"},
		"CA without TLS":            {elsewhere, route(manifest.EnvoyGateway, with(func(r *manifest.Route) { r.CAConfigMap = "ca" })), "listen.tls"},
		"a name with a line":        {elsewhere, route(manifest.EnvoyGateway, with(func(r *manifest.Route) { r.Name = "a\nb" })), "route"},
		"no app":                    {elsewhere, route(manifest.GatewayAPI, with(func(r *manifest.Route) { r.App = "" })), "app"},
		"a namespace that is none":  {elsewhere, route(manifest.EnvoyGateway, with(func(r *manifest.Route) { r.GatewayNamespace = "A" })), "namespace of the Gateway"},
		"no gateway":                {elsewhere, route(manifest.GatewayAPI, with(func(r *manifest.Route) { r.Gateway = "" })), "Gateway"},
	} {
		var out strings.Builder
		err := c.print(&out, parsed(t, c.config))
		if err == nil || !strings.Contains(err.Error(), c.says) || out.Len() > 0 {
			t.Errorf("%s: %v, printed %q", name, err, &out)
		}
	}
}
