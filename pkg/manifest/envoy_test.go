package manifest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
)

const least = `external_url: https://app.example.com
provider: {issuer: "https://id.example.com", client_id: app}
session: {keys_file: keys}
store: {memory: {}}
`

func printed(t *testing.T, more, listen, app string) string {
	t.Helper()
	c, err := config.Parse([]byte(least+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := manifest.Envoy(&out, c, manifest.Gateway{Listen: listen, App: app}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The bootstrap of this repository, with which the end-to-end tests run, is the one
// that is printed.
func TestTheShippedBootstrapIsPrinted(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../envoy/bootstrap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const headers = "headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name, auth_time: X-Auth-Time, session_id: X-Session-ID}"
	if got := printed(t, headers, "127.0.0.1:8080", "127.0.0.1:8081"); got != string(shipped) {
		t.Errorf("envoy/bootstrap.yaml is not what is printed:\n%s", got)
	}
}

func TestEnvoyFollowsTheConfig(t *testing.T) {
	t.Parallel()
	got := printed(t, `listen: {check: "lamplighter.default.svc:9191"}
path_prefix: /bff/
refresh: {max_wait: 6500ms}
headers: {user_id: X-Who, claims: {org: X-Org, "a b": X-Aa}}
`, ":8443", "[::1]:3000")
	for _, want := range []string{
		"socket_address: {address: \"0.0.0.0\", port_value: 8443}\n",
		"socket_address: {address: \"::1\", port_value: 3000}\n",
		"  - name: app\n    type: STATIC\n",
		"  - name: lamplighter\n    type: STRICT_DNS\n",
		"socket_address: {address: \"lamplighter.default.svc\", port_value: 9191}\n",
		"timeout: 8.5s\n", "max_interval: 17s}\n", "match: {prefix: \"/bff/\"}\n",
		"mutations:\n              - remove: x-who\n              - remove: x-aa\n              - remove: x-org\n          http_filters",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not there: %q", want)
		}
	}
	if strings.Contains(got, "pipe:") {
		t.Error("a pipe, and no socket")
	}
	bare := printed(t, `listen: {check: "unix:///run/\"}: [odd/check.sock"}`, "127.0.0.1:1", "app:2")
	var parsed any
	if err := yaml.Unmarshal([]byte(bare), &parsed); err != nil {
		t.Errorf("a path with everything in it: %v", err)
	}
	if strings.Contains(bare, "early_header") {
		t.Error("headers are removed, and none is set")
	}
}

func TestEnvoyRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	c, err := config.Parse([]byte(least), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "8080", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "a:b:c"} {
		var out strings.Builder
		good := "127.0.0.1:1"
		if manifest.Envoy(&out, c, manifest.Gateway{Listen: bad, App: good}) == nil || manifest.Envoy(&out, c, manifest.Gateway{Listen: good, App: bad}) == nil ||
			bad != "" && manifest.Envoy(&out, c, manifest.Gateway{Listen: good, App: good, Lamplighter: bad}) == nil || out.Len() > 0 {
			t.Errorf("%q is taken, or something was printed", bad)
		}
	}
}

func TestEnvoyFindsLamplighter(t *testing.T) {
	t.Parallel()
	const secured = "listen: {check: \":9191\", tls: {cert_file: c, key_file: k}}"
	at := func(lamplighter, ca string) manifest.Gateway {
		return manifest.Gateway{Listen: ":80", App: "app:80", Lamplighter: lamplighter, CA: ca}
	}
	for _, c := range []struct {
		config string
		at     manifest.Gateway
		want   []string
	}{
		{"listen: {check: \":9191\"}", at("", ""), []string{`{address: "127.0.0.1", port_value: 9191}`}},
		{"listen: {check: \"[::]:9191\"}", at("", ""), []string{`{address: "::1", port_value: 9191}`}},
		{"", at("lamp.example.com:443", ""), []string{`{address: "lamp.example.com", port_value: 443}`, "lamplighter\n    type: STRICT_DNS\n"}},
		{secured, at("lamp.example.com:443", "/ca.pem"), []string{`sni: "lamp.example.com"`, `{filename: "/ca.pem"}`, `{san_type: DNS, matcher: {exact: "lamp.example.com"}}`}},
		{secured, at("", "/ca.pem"), []string{`{san_type: IP_ADDRESS, matcher: {exact: "127.0.0.1"}}`}},
	} {
		var out strings.Builder
		if err := manifest.Envoy(&out, parsed(t, c.config), c.at); err != nil {
			t.Errorf("%s: %v", c.config, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: not there: %q", c.config, want)
			}
		}
	}
	var out strings.Builder
	if manifest.Envoy(&out, parsed(t, secured), at("", "")) == nil || manifest.Envoy(&out, parsed(t, ""), at("", "/ca.pem")) == nil || out.Len() > 0 {
		t.Error("TLS without a CA, or the reverse")
	}
}
