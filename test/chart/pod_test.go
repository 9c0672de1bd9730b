//go:build kubernetes

package chart_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
)

// podSpec is that of the Deployment.
func podSpec(t *testing.T, all []object) object {
	t.Helper()
	spec, ok := at(kind(all, "Deployment"), "spec", "template", "spec").(map[string]any)
	if !ok {
		t.Fatal("there is no Deployment")
	}
	return spec
}

// Each of our containers is what the profile "restricted" of Pod Security asks for,
// and has a root file system that it cannot write.
func TestContainersAreRestricted(t *testing.T) {
	t.Parallel()
	pods := map[string]object{"sidecar": podSpec(t, appChart(t)), "standalone": podSpec(t, mustRender(t, ci("standalone-bolt"))), "everything": podSpec(t, mustRender(t, ci("everything")))}
	ours := 0
	for name, pod := range pods {
		list, _ := pod["initContainers"].([]any)
		for _, c := range append(list, pod["containers"].([]any)...) {
			if n := at(c, "name"); n != "lamplighter" && n != "envoy" {
				continue
			}
			ours++
			for path, want := range map[string]any{
				"runAsNonRoot": true, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
				"capabilities": map[string]any{"drop": []any{"ALL"}}, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
			} {
				if got := at(c, "securityContext", path); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %s: %s is %v", name, at(c, "name"), path, got)
				}
			}
			if user := fmt.Sprint(at(c, "securityContext", "runAsUser")); user == "0" || user == "<nil>" {
				t.Errorf("%s: %s runs as %s", name, at(c, "name"), user)
			}
		}
	}
	if ours != 4 {
		t.Errorf("%d containers of ours", ours)
	}
}

// A file that is mounted by subPath does not follow its ConfigMap or Secret.
func TestFoldersAreMounted(t *testing.T) {
	t.Parallel()
	for _, all := range [][]object{appChart(t), mustRender(t, ci("everything"))} {
		if strings.Contains(fmt.Sprint(all), "subPath") {
			t.Error("there is a subPath")
		}
	}
}

// No Secret, and nothing that looks like what belongs into one, comes with the chart.
func TestNoSecretIsShipped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ string, all []object) {
		if kind(all, "Secret") != nil {
			t.Error("there is a Secret")
		}
	})
}

// A change of the config rolls the pods when lamplighter reads it only as it starts,
// and changes nothing of them when it is read while it runs.
func TestOnlyWhatNeedsARestartRollsThePods(t *testing.T) {
	t.Parallel()
	template := func(args ...string) object {
		spec, _ := at(kind(mustRender(t, args...), "Deployment"), "spec", "template").(map[string]any)
		return spec
	}
	config := func(args ...string) config.Config { return parsed(t, mustRender(t, args...)) }
	standing := ci("standalone-redis-ha")
	before, beforeConfig := template(standing), config(standing)
	both := 0
	for _, set := range []string{
		"config.refresh.jitter=1s", "config.sweep.rate=5", "config.log.level=debug", "config.external_url=https://b.example.com", "config.session.idle=2h",
		"config.headers.user_id=X-User", "config.provider.scopes={openid}", "prometheusRule.enabled=false",
		"config.app=shop", "config.cache.ttl=5s", "config.store.redis.prefix=x", "config.listen.metrics=0.0.0.0:9999", "config.listen.admin=127.0.0.1:1",
		"config.provider.client_id=other", "config.provider.issuer=https://other.example.com", "config.sweep.enabled=false", "config.sweep.max_in_flight=7",
	} {
		rolls := len(app.NeedRestart(beforeConfig, config(standing, "--set", set))) > 0
		if rolls {
			both++
		}
		if rolled := !reflect.DeepEqual(before, template(standing, "--set", set)); rolled != rolls {
			t.Errorf("%s: rolls the pods: %v", set, rolled)
		}
	}
	if both != 9 {
		t.Errorf("%d of these need a restart", both)
	}
	if keys := slices.Collect(maps.Keys(at(before, "metadata", "annotations").(map[string]any))); !slices.Equal(keys, []string{"checksum/restart"}) {
		t.Errorf("annotations %q", keys)
	}
}

// Lamplighter is up before Envoy, and Envoy before what follows; both share the
// folder of the socket, which their group owns.
func TestTheSidecars(t *testing.T) {
	t.Parallel()
	pod := podSpec(t, appChart(t))
	var names []any
	for _, c := range pod["initContainers"].([]any) {
		names = append(names, at(c, "name"))
		if name := at(c, "name"); name != "migrate" && at(c, "restartPolicy") != "Always" {
			t.Errorf("%s is no sidecar", name)
		}
		if at(c, "restartPolicy") == "Always" && at(c, "startupProbe") == nil {
			t.Errorf("%s does not make the next one wait", at(c, "name"))
		}
		if at(c, "restartPolicy") == "Always" && !strings.Contains(fmt.Sprint(at(c, "volumeMounts")), "mountPath:/run/lamplighter ") {
			t.Errorf("%s does not share the socket: %v", at(c, "name"), at(c, "volumeMounts"))
		}
	}
	if want := []any{"lamplighter", "envoy", "migrate"}; !reflect.DeepEqual(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	if ports := fmt.Sprint(at(pod["initContainers"].([]any)[1], "ports")); !strings.Contains(ports, "name:lamp-web") {
		t.Errorf("an app may have a port of the same name, which a Service would find first: %s", ports)
	}
	if at(pod, "securityContext", "fsGroup") == nil {
		t.Error("no group owns the socket")
	}
}
