//go:build kubernetes

package kubernetes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// least is a config file without where Checks go.
const least = `external_url: https://app.example.com
provider: {issuer: "https://id.example.com", client_id: web, client_secret_file: client-secret}
session: {keys_file: keys}
store: {bolt: {path: sessions.db}}
headers: {user_id: X-User-ID}
`

// printed applies what lamplighter prints from config files which are not those of
// the manifests in k8s.
func (w *world) printed(t *testing.T) {
	dir := t.TempDir()
	w.build(t, dir)
	w.note("\n| lamplighter print | accepted |\n|---|---|")
	for _, p := range []struct{ listen, args string }{
		{`{check: "[::1]:9000"}`, "istio --namespace printed --selector app=web,tier=front"},
		{`{check: "[::1]:9000"}`, "istio --namespace printed --selector app=web --part envoy-filter"},
		{`{check: ":9000"}`, "istio --namespace printed --selector app=web --service l.printed.svc.cluster.local --gateway --opaque-tokens"},
		{`{check: ":9000"}`, "envoy-gateway --namespace printed --route web"},
		{`{check: ":9000", tls: {cert_file: c, key_file: k}}`, "envoy-gateway --namespace printed --route web --gateway public --service-namespace auth --ca-config-map ca"},
		{`{check: ":9000"}`, "gateway-api --namespace printed --route web --gateway public --app web"},
		{`{check: ":9000", tls: {cert_file: c, key_file: k}}`, "gateway-api --namespace printed --route web --gateway public --app web --service-namespace auth --ca-config-map ca"},
	} {
		t.Run(p.args, func(t *testing.T) {
			config := filepath.Join(dir, "lamplighter.yaml")
			if err := os.WriteFile(config, []byte(least+"listen: "+p.listen+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(filepath.Join(dir, "lamplighter"), append([]string{"print", "--config", config}, strings.Fields(p.args)...)...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, &errs)
			}
			var kinds []string
			for _, o := range w.applied(t, "printed", out.String()) {
				kinds = append(kinds, o.kind())
			}
			w.note("| `%s` | %s |", p.args, strings.Join(kinds, ", "))
		})
	}
}
