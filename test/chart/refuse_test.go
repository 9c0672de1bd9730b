//go:build kubernetes

package chart_test

import (
	"strings"
	"testing"
)

// What an install needs is said at once, each by its name, with the remedy.
func TestNothingIsInstalledWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	_, err := render(t)
	if err == nil {
		t.Fatal("installed without a value")
	}
	for _, want := range []string{
		"config.external_url", "config.provider.issuer", "config.provider.client_id", "image.repository", "existingSecret.name",
		"kubectl create secret generic lamplighter --namespace default", `--from-literal=keys="k1:$(openssl rand -base64 32)"`, "--from-file=client-secret=",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not name %s:\n%v", want, err)
		}
	}
	for name, values := range map[string]string{
		"config.external_url": "config.external_url=", "config.provider.issuer": "config.provider.issuer=null",
		"config.provider.client_id": "config.provider=null", "existingSecret.name": "existingSecret.name=", "image.repository": "image.repository=",
	} {
		if _, err := render(t, ci("standalone-bolt"), "--set", values); err == nil || !strings.Contains(err.Error(), "- "+name+": ") {
			t.Errorf("%s: %v", values, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, set, want string }{
		{"standalone-bolt", "replicas=2", "replicas: 2 with the embedded store: its sessions are in one pod's file"},
		{"standalone-bolt", "replicas=2", "Set config.store.redis"},
		{"standalone-bolt", "autoscaling.enabled=true", "autoscaling.enabled with the embedded store"},
		{"sidecar-envoy", "replicas=2", "replicas: 2 with the embedded store"},
		{"standalone-bolt", "config.listen.check=unix:///run/lamplighter/check.sock", "config.listen.check: unix:///run/lamplighter/check.sock with mode: standalone"},
		{"standalone-bolt", "config.listen.check=127.0.0.1:9191", "other pods do not reach it"},
		{"standalone-bolt", "config.listen.metrics=,podMonitor.enabled=true", "there is nothing to scrape"},
		{"sidecar-istio", "networkPolicy.enabled=true", "networkPolicy.enabled with mode: sidecar"},
		{"sidecar-istio", "serviceMonitor.enabled=true", "serviceMonitor.enabled with mode: sidecar"},
		{"sidecar-istio", "podMonitor.matchLabels=null", "podMonitor.matchLabels"},
		{"sidecar-envoy", "sidecar.envoy.listen=127.0.0.1:8080", "nobody outside of the pod reaches it"},
		{"sidecar-istio", "tls.secretName=tls", "Checks do not leave the pod"},
		// By the schema.
		{"standalone-bolt", "mode=both", "at '/mode': value must be one of 'standalone', 'sidecar'"},
		{"standalone-bolt", "replica=2", "additional properties 'replica' not allowed"},
		{"standalone-bolt", "existingSecret.keys.secret=x", "additional properties 'secret' not allowed"},
		{"standalone-bolt", "config.refresh.token_refresh_treshold=60s", "additional properties 'token_refresh_treshold' not allowed"},
		{"standalone-bolt", "config.refresh.jitter=30", "at '/config/refresh/jitter': got number, want string"},
		{"standalone-bolt", "config.sweep.check_interval=5 minutes", "at '/config/sweep/check_interval'"},
		{"standalone-bolt", "config.provider.client_secret=hunter2", "additional properties 'client_secret' not allowed"},
		{"standalone-bolt", "config.store.bolt.path=/x,config.store.redis.addresses={redis:6379}", "at '/config/store'"},
		{"standalone-bolt", "config.store.redis.prefix=x", "missing property 'addresses'"},
		{"standalone-bolt", "image.digest=latest", "at '/image/digest'"},
		{"standalone-bolt", "prometheusRule.for.LamplighterDown=soon", "at '/prometheusRule/for/LamplighterDown'"},
		{"sidecar-envoy", "sidecar.envoy.app=3000", "at '/sidecar/envoy/app'"},
		{"sidecar-envoy", "sidecar.envoy.app=localhost", "at '/sidecar/envoy/app'"},
	} {
		t.Run(tt.set, func(t *testing.T) {
			t.Parallel()
			out, err := render(t, ci(tt.base), "--set", tt.set)
			if err == nil {
				t.Fatalf("accepted:\n%s", out)
			}
			if text := strings.Join(strings.Fields(err.Error()), " "); !strings.Contains(text, tt.want) {
				t.Errorf("want %q in\n%v", tt.want, err)
			}
		})
	}
}

// A client without a secret, and files that come another way, need less.
func TestWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	public := mustRender(t, ci("standalone-bolt"), "--set", "existingSecret.keys.clientSecret=")
	if c := parsed(t, public); c.Provider.ClientSecretFile != "" {
		t.Errorf("a public client has the secret %s", c.Provider.ClientSecretFile)
	}
	_, err := render(t, ci("standalone-bolt"), "--set", "existingSecret.keys.clientSecret=,existingSecret.name=")
	if err == nil || strings.Contains(err.Error(), "--from-file") {
		t.Errorf("a public client is told to bring a client secret, or no keys: %v", err)
	}
	own := []string{ci("standalone-bolt"), "--set", "existingSecret.name=,config.session.keys_file=/vault/keys"}
	if _, err := render(t, own...); err == nil {
		t.Error("nobody brings the client secret, and nobody minds")
	}
	brought := mustRender(t, append(own, "--set", "config.provider.client_secret_file=/vault/secret")...)
	if c := parsed(t, brought); c.Session.KeysFile != "/vault/keys" || c.Provider.ClientSecretFile != "/vault/secret" {
		t.Errorf("%+v", c)
	}
}
