package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// bootstrap is what `lamplighter print envoy` makes of config, in a file.
func bootstrap(t *testing.T, more string, g manifest.Gateway) (path string) {
	t.Helper()
	c, err := config.Parse([]byte("external_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n"+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := manifest.Envoy(&text, c, g); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var anywhere = manifest.Gateway{Listen: "127.0.0.1:8080", App: "127.0.0.1:8081"} // stack puts its own addresses there

// What `lamplighter print envoy` makes of a config file that is not the usual one
// works with it: own paths, and identity headers that no client can forge.
func TestPrintedBootstrap(t *testing.T) {
	t.Parallel()
	const own = "path_prefix: /bff/\nheaders: {user_id: X-Who}\nrefresh: {max_wait: 4s}\n"
	s := stack.Start(t, stack.Options{Bootstrap: bootstrap(t, own, anywhere), Config: own, Provider: func(o *op.Options) {
		for i, uri := range o.Clients[0].RedirectURIs {
			o.Clients[0].RedirectURIs[i] = strings.Replace(uri, "/auth/", "/bff/", 1)
		}
	}})
	b := s.Browser(t)
	b.Login("/", "ada").Bearer(t)
	app := b.Fetch("/", "X-Who: mallory", "x-WHO: mallory").Echo(t)
	if who := app.Headers["x-who"]; len(who) != 1 || who[0] == "mallory" || who[0] == "" {
		t.Errorf("the app is told of %q", who)
	}
	if a := b.Fetch("/bff/session"); a.Status != 200 || !strings.Contains(a.Body, `"signed_in":true`) {
		t.Errorf("/bff/session: %v", a)
	}
}

// Over TLS, Envoy asks the one whose certificate it trusts, and nobody else.
func TestPrintedBootstrapWithTLS(t *testing.T) {
	t.Parallel()
	ours, others := redistest.NewAuthority(t), redistest.NewAuthority(t)
	for name, ca := range map[string]string{"trusted": ours.CA, "not trusted": others.CA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := "127.0.0.1:" + stack.FreePort(t)
			listen := fmt.Sprintf("listen: {check: %q, admin: \"127.0.0.1:0\", tls: {cert_file: %q, key_file: %q}}", at, ours.ServerCert, ours.ServerKey)
			g := anywhere
			g.CA = ca
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap(t, listen, g), Config: listen, Check: at})
			if ca != ours.CA {
				if a := s.Browser(t).Fetch("/"); a.Status != http.StatusServiceUnavailable {
					t.Errorf("%v", a)
				}
				return
			}
			s.Browser(t).Login("/", "ada").Bearer(t)
		})
	}
}
