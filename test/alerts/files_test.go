//go:build alerts

package alerts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lamplighter/lamplighter/test/installed"
)

// rule is one alert, as the file has it.
type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func chartFile(t testing.TB, name string) string {
	t.Helper()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "k8s", "chart", "files", name)
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rulesText is the chart's file; Prometheus reads what the chart ships.
func rulesText(t testing.TB) string {
	t.Helper()
	return read(t, chartFile(t, "alerts.yaml"))
}

func rules(t testing.TB) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal([]byte(rulesText(t)), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("the chart has no alerts")
	}
	return all
}

// times are what is shortened: ranges, and what an alert waits for.
var times = regexp.MustCompile(`(\[|\bfor: )(\d+)([mhd])\b`)

// hurry is how much faster the rules are here. A probe every five seconds, and a
// trouble that is over after three, stay what they are: minutes must not become
// as short as that.
const hurry = 20

// hurried is the rules in a hurry.
func hurried(text string) string {
	return times.ReplaceAllStringFunc(text, func(found string) string {
		m := times.FindStringSubmatch(found)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			panic(err) // \d+ that is no number
		}
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[3]]
		return fmt.Sprintf("%s%ds", m[1], int((time.Duration(n) * unit / hurry).Seconds()))
	})
}

func TestHurried(t *testing.T) {
	t.Parallel()
	got := hurried("for: 10m\nexpr: rate(x_5m[5m]) + y[1h:30s] + z[1d]\nin 5 minutes")
	if want := "for: 30s\nexpr: rate(x_5m[15s]) + y[180s:30s] + z[4320s]\nin 5 minutes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// query is one of the dashboard.
type query struct{ panel, expr string }

// queries are all of the dashboard, with values for Grafana's variables.
func queries(t testing.TB) (all []query) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, chartFile(t, "dashboard.json"))), &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, variable.ReplaceAllStringFunc(target.Expr, func(name string) string {
				value, ok := variables()[name]
				if !ok {
					t.Errorf("panel %q has a variable %s that this test does not know", p.Title, name)
				}
				return value
			})})
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard has no queries")
	}
	return all
}

var variable = regexp.MustCompile(`\$\{?\w+\}?`)

func variables() map[string]string {
	return map[string]string{"$namespace": ".*", "$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
}
