package providers

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

// StartOIDCProvider runs npm's oidc-provider for the app at url: it rotates
// refresh tokens, and one that comes back revokes the grant.
func StartOIDCProvider(t testing.TB, url string) *Provider {
	t.Helper()
	dir := install(t, installOIDCProvider)
	p := open(t, "profile: oidc-provider, authorization_params: {prompt: consent}", readOIDCProvider) // without that it gives no refresh token
	settings, err := json.Marshal(map[string]any{
		"issuer": p.Issuer, "clientID": stack.ClientID, "clientSecret": stack.ClientSecret,
		"redirectURI": url + "/auth/callback", "accessTokenSeconds": AccessTokenLife.Seconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(dir, "server.mjs"), string(settings))
	cmd.Dir = dir
	p.run(t, cmd)
	return p
}
