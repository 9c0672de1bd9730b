//go:build kubernetes

package kubernetes

import (
	"path/filepath"
	"strings"
	"testing"
)

// change takes a release from one pod with its file to replicas over Redis, and back:
// what the one has and the other has not must go.
func (w *world) change(t *testing.T) {
	const namespace = "chart-change"
	w.Namespace(t, namespace)
	r := release{world: w, chart: filepath.Join(w.root, "k8s/chart"), namespace: namespace}
	values := func(name string) string { return "--values=" + filepath.Join(r.chart, "ci", name+"-values.yaml") }
	strategy := func() string {
		for _, o := range r.served(t) {
			if o.kind() == "Deployment" {
				strategy, _ := o["spec"].(map[string]any)["strategy"].(map[string]any)
				kind, _ := strategy["type"].(string)
				if _, rolls := strategy["rollingUpdate"]; rolls != (kind == "RollingUpdate") {
					t.Errorf("strategy %v", strategy)
				}
				return kind
			}
		}
		return ""
	}
	r.helm(t, "install", r.chart, values("standalone-bolt"))
	alone := r.objects(t)
	r.helm(t, "upgrade", r.chart, values("standalone-redis-ha"))
	if got := strategy(); got != "RollingUpdate" || !r.has(t, "redis-0.redis:6379") || r.has(t, "sessions.db") {
		t.Errorf("over Redis pods are replaced by %s", got)
	}
	r.helm(t, "upgrade", r.chart, values("standalone-bolt"), "--reset-values")
	if got := strategy(); got != "Recreate" || !r.has(t, "sessions.db") || len(r.objects(t)) != len(alone) {
		t.Errorf("with a file pods are replaced by %s, and there is %q", got, r.objects(t))
	}
	for set, says := range map[string]string{
		"resources.limit.memory=1Gi": "resources.limit", "securityContext.runAsUsr=1": "runAsUsr", "sessionsVolume.emptyDir.sizLimit=1Gi": "sizLimit",
	} {
		if out, err := r.Helm("upgrade", "release", r.chart, "--namespace", namespace, values("standalone-bolt"), "--set", set); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v\n%s", set, err, out)
		}
	}
}
