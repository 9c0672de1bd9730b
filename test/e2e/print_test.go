package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// What `lamplighter print envoy` makes of a config file that is not the usual one
// works with it: own paths, and identity headers that no client can forge.
func TestPrintedBootstrap(t *testing.T) {
	t.Parallel()
	const own = "path_prefix: /bff/\nheaders: {user_id: X-Who}\nrefresh: {max_wait: 4s}\n"
	c, err := config.Parse([]byte("external_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n"+own), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := manifest.Envoy(&text, c, "127.0.0.1:8080", "127.0.0.1:8081"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := stack.Start(t, stack.Options{Bootstrap: path, Config: own, Provider: func(o *op.Options) {
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
