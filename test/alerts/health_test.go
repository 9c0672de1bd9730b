//go:build alerts

package alerts

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// healthFor is many ranges and waits of the hurried rules, and several lives of a
// token.
const healthFor = 90 * time.Second

// Two lamplighters over one Redis and one with the embedded store, in use: people
// log in, stay and log out, and no alert says anything. What the dashboard and the
// alerts ask for is there.
func TestHealth(t *testing.T) {
	t.Parallel()
	alone := run(t, stack.Options{})
	first := run(t, stack.Options{Config: fmt.Sprintf("store: {redis: {addresses: [%q]}}", redistest.Start(t).Addr)})
	second := first.Replica(t)
	p := watch(t, map[string][]string{"embedded": {alone.Lamplighter.Admin}, "replicas": {first.Lamplighter.Admin, second.Lamplighter.Admin}})

	stayed := logIn(t, alone, users)
	use(t, stayed)
	use(t, logIn(t, first, users))
	use(t, logIn(t, second, users))
	for end := time.Now().Add(healthFor); time.Now().Before(end) && pause.For(t.Context(), time.Second); {
		for _, s := range []*stack.Stack{alone, first, second} {
			comeAndGo(t, s)
		}
	}
	for i, b := range stayed {
		b.Fetch("/").Bearer(t) // the product was in use, and well
		if i == 0 && alone.Lamplighter.Metric("bff_token_refresh_success_total") < users {
			t.Error("hardly anything was refreshed")
		}
	}
	p.only()
	// A machine that is too busy to answer a scrape in time is no fault of the product.
	if got := slices.DeleteFunc(p.told("pending"), func(name string) bool { return name == "LamplighterDown" }); len(got) > 0 {
		t.Errorf("pending: %q", got)
	}
	t.Run("rules", func(t *testing.T) { rulesAreEvaluated(t, p) })
	t.Run("selectors", func(t *testing.T) { selectorsFindSeries(t, p) })
	t.Run("dashboard", func(t *testing.T) { dashboardShows(t, p) })
	t.Run("metrics", func(t *testing.T) { metricsExist(t, alone, first) })
}

// comeAndGo is a login, a request and a logout.
func comeAndGo(t *testing.T, s *stack.Stack) {
	t.Helper()
	b := s.Browser(t)
	b.Login("/", "passer-by").Bearer(t)
	b.Fetch("/").Bearer(t)
	if a := b.Post("/auth/logout"); a.Status != http.StatusSeeOther {
		t.Errorf("a logout: %v", a)
	}
}

// rulesAreEvaluated: an alert that cannot be worked out on real series never fires.
func rulesAreEvaluated(t *testing.T, p *prometheus) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, LastEvaluation string }
		}
	}
	if err := p.get("/api/v1/rules", url.Values{}, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health != "ok" {
				t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(rules(t)); n != want {
		t.Errorf("%d rules are evaluated, want %d", n, want)
	}
}

var (
	series      = regexp.MustCompile(`\b(?:bff|go|process)_\w+(?:\{[^}]*\})?`)
	alternative = regexp.MustCompile(`(\w+)=~"([^"]*)"`)
)

// selectorsFindSeries: each series that an alert asks for is there, and so is each
// of the values that a label may have: one that is misspelt would be silence.
func selectorsFindSeries(t *testing.T, p *prometheus) {
	for _, r := range rules(t) {
		for _, found := range series.FindAllString(r.Expr, -1) {
			ask := []string{found}
			name, _, _ := strings.Cut(found, "{")
			for _, m := range alternative.FindAllStringSubmatch(found, -1) {
				for value := range strings.SplitSeq(m[2], "|") {
					ask = append(ask, fmt.Sprintf("%s{%s=%q}", name, m[1], value))
				}
			}
			for _, expr := range ask {
				if got, err := p.query(expr); err != nil || len(got) == 0 {
					t.Errorf("%s asks for %s: %d series, %v", r.Alert, expr, len(got), err)
				}
			}
		}
	}
}

// dashboardShows: each query is one, and has something to show after some traffic.
func dashboardShows(t *testing.T, p *prometheus) {
	for _, q := range queries(t) {
		if got, err := p.query(q.expr); err != nil || len(got) == 0 {
			t.Errorf("panel %q shows %d series, %v: %s", q.panel, len(got), err, q.expr)
		}
	}
}

// metricsExist holds every name against the product's own word.
func metricsExist(t *testing.T, all ...*stack.Stack) {
	var told strings.Builder
	for _, s := range all {
		_, body, err := s.Lamplighter.Get("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		told.WriteString(body)
	}
	var asked []string
	for _, r := range rules(t) {
		asked = append(asked, r.Expr)
	}
	for _, q := range queries(t) {
		asked = append(asked, q.expr)
	}
	for _, found := range series.FindAllString(strings.Join(asked, "\n"), -1) {
		name, _, _ := strings.Cut(found, "{")
		if !strings.Contains("\n"+told.String(), "\n"+name+" ") && !strings.Contains(told.String(), "\n"+name+"{") {
			t.Errorf("lamplighter has no metric %s", name)
		}
	}
}
