package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrintEnvoy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lamplighter.yaml")
	text := "external_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := lamp("print", "envoy", "--config", file, "--listen", "0.0.0.0:443", "--app", "shop:3000")
	if code != 0 || stderr != "" || !strings.Contains(stdout, `{address: "0.0.0.0", port_value: 443}`) || !strings.Contains(stdout, `{address: "shop", port_value: 3000}`) {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = lamp("print", "envoy", "--config", file, "--listen", "443")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "listen at 443") || !strings.Contains(stderr, "write host:port") {
		t.Errorf("a port alone: %d %s %s", code, stdout, stderr)
	}
	if code, _, stderr = lamp("print", "nginx"); code != exitUsage {
		t.Errorf("what cannot be printed: %d %s", code, stderr)
	}
}

func TestPrintMeshAndGateways(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lamplighter.yaml")
	text := "listen: {check: \"0.0.0.0:9191\"}\nexternal_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want []string // in what is printed, or in the complaint
	}{
		{"istio --selector app=web,tier=front --namespace shop --service l.l.svc", 0, []string{`"app": "web"`, `"tier": "front"`, `namespace: "shop"`, "kind: RequestAuthentication"}},
		{"istio --part mesh-config --service l.l.svc", 0, []string{`service: "l.l.svc"`}},
		{"istio --part envoy-filter --selector app=web --gateway --service l.l.svc", 0, []string{"context: GATEWAY"}},
		{"istio --part all --selector app=web", exitUsage, []string{"envoy-filter, mesh-config, policy"}},
		{"istio --selector app=web", exitUsage, []string{"name the Service", "lamplighter print istio --help"}},
		{"envoy-gateway --route web --gateway public --service-namespace l", 0, []string{"kind: ClientTrafficPolicy", "kind: ReferenceGrant", `name: "web"`}},
		{"envoy-gateway", exitUsage, []string{"name the route"}},
		{"gateway-api --route web --gateway public --gateway-namespace infra --app shop --app-port 3000", 0, []string{`namespace: "infra"`, `{name: "shop", port: 3000}`}},
		{"gateway-api --route web --gateway public", exitUsage, []string{"name the app"}},
	} {
		code, stdout, stderr := lamp(append([]string{"print"}, append(strings.Fields(c.args), "--config", file)...)...)
		printed := stdout
		if c.code != 0 {
			printed = stderr
		}
		if code != c.code || (stdout == "") != (c.code != 0) || (stderr == "") != (c.code == 0) {
			t.Errorf("print %s: %d %s\n%s", c.args, code, stderr, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(printed, want) {
				t.Errorf("print %s does not say %q:\n%s", c.args, want, printed)
			}
		}
	}
}
