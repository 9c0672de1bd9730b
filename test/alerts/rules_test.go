//go:build alerts

package alerts

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/tools"
)

// scenarios are what promtool plays.
const scenarios = "testdata/rules_test.yaml"

func TestRulesAreRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "rules", chartFile(t, "alerts.yaml")},
		{"test", "rules", scenarios},
	} {
		if out, err := exec.CommandContext(t.Context(), tools.Tool(t, "promtool"), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

var named = regexp.MustCompile(`alertname="(\w+)"`)

// promtool sees each alert fire, and sees each silent.
func TestScenariosAreOfAllAlerts(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Queries []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, scenarios)), &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range file.Tests {
		for _, q := range one.Queries {
			m := named.FindStringSubmatch(q.Expr)
			switch {
			case m == nil:
				t.Errorf("%s is about no alert", q.Expr)
			case len(q.Samples) > 0:
				fires[m[1]] = true
			default:
				silent[m[1]] = true
			}
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s is seen to fire: %t, to be silent: %t", r.Alert, fires[r.Alert], silent[r.Alert])
		}
		delete(fires, r.Alert)
		delete(silent, r.Alert)
	}
	if len(fires)+len(silent) > 0 {
		t.Errorf("no alerts, but in the scenarios: %v %v", fires, silent)
	}
}

// What whoever is woken reads, and what the chart makes the runbook's link of.
func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range rules(t) {
		if !strings.HasPrefix(r.Alert, "Lamplighter") || seen[r.Alert] {
			t.Errorf("alert %q is not lamplighter's, or is there twice", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q, want critical or warning", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Annotations["runbook_url"] != "" {
			t.Errorf("%s has annotations %q, want summary and description; runbook_url is the chart's", r.Alert, r.Annotations)
		}
	}
}

// The link of an alert leads to a section of its name.
func TestAlertsHaveRunbooks(t *testing.T) {
	t.Parallel()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, filepath.Join(root, "k8s", "README.md"))
	for _, r := range rules(t) {
		if !strings.Contains(page, "\n### "+r.Alert+"\n") {
			t.Errorf("k8s/README.md has no section %s", r.Alert)
		}
	}
}
