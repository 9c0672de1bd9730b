//go:build kubernetes

package chart_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
)

// parsed reads the lamplighter.yaml that was rendered, as lamplighter would.
func parsed(t *testing.T, all []object) config.Config {
	t.Helper()
	var text string
	for _, o := range all { // the dashboard is one, too
		if found, ok := at(o, "data", "lamplighter.yaml").(string); ok && o["kind"] == "ConfigMap" {
			text = found
		}
	}
	c, err := config.Parse([]byte(text), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func TestEachConfigIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, values string, all []object) {
		c := parsed(t, all)
		if c.Session.KeysFile != "/run/secrets/lamplighter/keys" || !strings.HasPrefix(c.Listen.Admin, "127.0.0.1:") || c.Listen.Metrics == "" {
			t.Errorf("not filled in, or admin is open: %+v", c)
		}
		if strings.Contains(values, "everything") && (c.Cache.MaxBytes != 128<<20 || c.Sweep.Enabled || c.Refresh.Jitter != 0 || c.Listen.TLS == nil ||
			c.Store.Redis.UsernameFile == "" || c.Store.Redis.SentinelPasswordFile == "") {
			t.Errorf("a value was lost on the way: %+v %+v", c, c.Store.Redis)
		}
	})
}

// The defaults that values.yaml shows are lamplighter's own.
func TestShownDefaultsAreTheDefaults(t *testing.T) {
	t.Parallel()
	c, want := parsed(t, mustRender(t, ci("standalone-bolt"))), config.Default()
	if c.Refresh != want.Refresh || c.Sweep != want.Sweep {
		t.Errorf("got %+v %+v\nwant %+v %+v", c.Refresh, c.Sweep, want.Refresh, want.Sweep)
	}
}

func TestWhereChecksAreAnswered(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"standalone-bolt": "0.0.0.0:9191", "sidecar-envoy": "unix:///run/lamplighter/check.sock", "sidecar-istio": "127.0.0.1:9191",
	} {
		if c := parsed(t, mustRender(t, ci(values))); c.Listen.Check != want {
			t.Errorf("%s: %s, want %s", values, c.Listen.Check, want)
		}
	}
}

// The bootstrap is byte for byte what `lamplighter print envoy` prints.
func TestEnvoyIsTheOneThatIsPrinted(t *testing.T) {
	t.Parallel()
	for name, set := range map[string][]string{
		"as shipped":        nil,
		"longer waits":      {"config.refresh.max_wait=6500ms"},
		"odd waits":         {"config.refresh.max_wait=+1m0.123s", "config.refresh.deadline=2m"},
		"just over":         {"config.refresh.max_wait=3001ms"},
		"just at":           {"config.refresh.max_wait=3s"},
		"over TCP":          {"config.listen.check=127.0.0.1:9191"},
		"by name":           {"config.listen.check=lamplighter.default.svc:9191", "sidecar.envoy.app=app.default.svc:80"},
		"IPv6":              {"config.listen.check=[::1]:9191", "sidecar.envoy.listen=[::]:8443", "sidecar.envoy.app=[::1]:3000"},
		"a port alone":      {"sidecar.envoy.listen=:8443"},
		"another prefix":    {"config.path_prefix=/bff/"},
		"no headers":        {"sidecar.envoy.enabled=true"}, // of another base
		"all headers":       {"config.headers.name=X-User-Name", "config.headers.auth_time=X-Auth-Time", "config.headers.session_id=X-Session-ID"},
		"an odd socket":     {`config.listen.check=unix:///run/lamplighter/"}: [odd.sock`},
		"another app's pod": {"sidecar.envoy.app=10.0.0.7:65535"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{ci("sidecar-envoy")}
			for _, s := range set {
				args = append(args, "--set", s)
			}
			listen, app := "0.0.0.0:8080", "127.0.0.1:3000"
			if name == "no headers" {
				args[0], app = ci("sidecar-istio"), "127.0.0.1:8081"
			}
			all := mustRender(t, args...)
			for _, s := range set {
				if v, ok := strings.CutPrefix(s, "sidecar.envoy.listen="); ok {
					listen = v
				}
				if v, ok := strings.CutPrefix(s, "sidecar.envoy.app="); ok {
					app = v
				}
			}
			var want strings.Builder
			if err := manifest.Envoy(&want, parsed(t, all), manifest.Gateway{Listen: listen, App: app}); err != nil {
				t.Fatal(err)
			}
			if got := at(kind(all, "ConfigMap"), "data", "envoy.yaml"); got != want.String() {
				t.Errorf("got\n%s\nwant\n%s", got, want.String())
			}
		})
	}
}

// Alerts are those of the file, which Prometheus loads without Kubernetes too; each
// has its link.
func TestAlertsAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(chartDir + "/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file object
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	alerts := func(groups any) (all []any) {
		for _, g := range groups.([]any) {
			all = append(all, at(g, "rules").([]any)...)
		}
		return all
	}
	want := alerts(file["groups"])
	got := alerts(at(kind(mustRender(t, ci("everything")), "PrometheusRule"), "spec", "groups"))
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d alerts of %d", len(got), len(want))
	}
	for i := range want {
		name := at(want[i], "alert").(string)
		length := at(want[i], "for")
		if name == "LamplighterDown" {
			length = "10m"
		}
		if at(got[i], "alert") != name || at(got[i], "expr") != at(want[i], "expr") || at(got[i], "for") != length ||
			at(got[i], "annotations", "summary") != at(want[i], "annotations", "summary") {
			t.Errorf("%s is another alert:\n%v", name, got[i])
		}
		if at(got[i], "annotations", "runbook_url") != "https://runbooks.example.com/lamplighter#"+strings.ToLower(name) ||
			at(got[i], "labels", "team") != "shop" || at(got[i], "labels", "severity") != at(want[i], "labels", "severity") {
			t.Errorf("%s has not what the values say: %v", name, got[i])
		}
	}
}

// The dashboard is the file, to the byte.
func TestDashboardIsTheFile(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(chartDir + "/files/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(mustRender(t, ci("standalone-redis-ha")), func(o object) bool {
		return at(o, "data", "lamplighter.json") == string(want) && at(o, "metadata", "labels", "grafana_dashboard") == "1"
	}) {
		t.Error("no ConfigMap has it")
	}
}
