//go:build alerts

package alerts

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/stack"
	"github.com/lamplighter/lamplighter/test/tools"
)

// every is how often Prometheus scrapes, and looks at the rules.
const every = 500 * time.Millisecond

// prometheus is a real one on loopback. It ends with the test.
type prometheus struct {
	t     testing.TB
	url   string
	since time.Time // when nothing was told any more of targets that nobody had scraped yet
}

// watch starts a Prometheus with the hurried rules that scrapes the addresses of
// each job, and returns when all have been scraped, and no alert is about that.
func watch(t testing.TB, jobs map[string][]string) *prometheus {
	t.Helper()
	path, dir := tools.Tool(t, "prometheus"), t.TempDir()
	put := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	config := fmt.Sprintf("global: {scrape_interval: %[1]v, scrape_timeout: %[1]v, evaluation_interval: %[1]v}\nrule_files: [%q]\nscrape_configs:\n",
		every, put("rules.yaml", hurried(rulesText(t))))
	for job, addresses := range jobs {
		config += fmt.Sprintf("- {job_name: %q, static_configs: [{targets: [%s]}]}\n", job, "'"+strings.Join(addresses, "', '")+"'")
	}
	p := launch(t, path, "--config.file="+put("prometheus.yaml", config), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--log.level=warn")
	targets := len(slices.Concat(slices.Collect(maps.Values(jobs))...))
	p.eventually("all targets are scraped", func() bool {
		up, err := p.query("up == 1")
		return err == nil && len(up) == targets
	})
	p.eventually("no target is missed", func() bool { return p.is(false, `ALERTS{alertname="LamplighterDown"}`) })
	p.since = time.Now()
	return p
}

// launch starts Prometheus and returns when it listens. A port that was free a
// moment ago may not be any more, beside so many others that look for one.
func launch(t testing.TB, path string, args ...string) *prometheus {
	t.Helper()
	for try := 1; ; try++ {
		p, log := &prometheus{t: t, url: "http://127.0.0.1:" + stack.FreePort(t)}, new(logbook.Book)
		cmd := exec.Command(path, append(args, "--web.listen-address="+strings.TrimPrefix(p.url, "http://"))...)
		cmd.Stdout, cmd.Stderr = log, log
		proc, err := child.Start(cmd)
		if err != nil {
			t.Fatalf("start prometheus: %v", err)
		}
		ended := func() bool {
			select {
			case <-proc.Done():
				return true
			default:
				return false
			}
		}
		p.eventually("prometheus answers", func() bool {
			_, err := p.query("vector(1)")
			return err == nil || ended()
		})
		if !ended() {
			t.Cleanup(func() {
				if err := proc.Stop(10 * time.Second); err != nil {
					t.Errorf("stop prometheus: %v", err)
				}
				if t.Failed() {
					t.Logf("prometheus's log:\n%s", log)
				}
			})
			return p
		}
		if try == 3 || !strings.Contains(log.String(), "address already in use") {
			t.Fatalf("prometheus ended: %v\n%s", proc.Wait(), log)
		}
	}
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string
}

// get asks the HTTP API; data is what it answers with.
func (p *prometheus) get(path string, args url.Values, data any) error {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(p.url + path + "?" + args.Encode()) // whoever has the port may say nothing
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read answer %d: %w", resp.StatusCode, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus refuses: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// query is the series that expr has now.
func (p *prometheus) query(expr string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

func (p *prometheus) eventually(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(every / 5) {
		if time.Now().After(deadline) {
			told, err := p.query(`count by (alertname, alertstate) (ALERTS)`)
			p.t.Fatalf("not within two minutes: %s; told now: %v %v", what, told, err)
		}
	}
}

// selector is the alert's own series with these labels.
func selector(alert, state string, labels ...string) string {
	matchers := []string{fmt.Sprintf("alertname=%q", alert), fmt.Sprintf("alertstate=%q", state)}
	return "ALERTS{" + strings.Join(append(matchers, labels...), ", ") + "}"
}

// fires waits until the alert fires with these labels, each `name="value"`.
func (p *prometheus) fires(alert string, labels ...string) {
	p.t.Helper()
	began := time.Now()
	p.eventually(fmt.Sprint(alert, labels, " fires"), func() bool { return p.is(true, selector(alert, "firing", labels...)) })
	p.t.Logf("%s%v fires after %v", alert, labels, time.Since(began).Round(100*time.Millisecond))
	var told struct {
		Alerts []struct{ Labels, Annotations map[string]string }
	}
	if err := p.get("/api/v1/alerts", url.Values{}, &told); err != nil {
		p.t.Fatal(err)
	}
	for _, a := range told.Alerts { // what a template makes of labels it does not have
		if text := fmt.Sprint(a.Annotations); strings.Contains(text, "error") && strings.Contains(text, "template") || strings.Contains(text, "<no value>") {
			p.t.Errorf("%s reads: %s", a.Labels["alertname"], text)
		} else if a.Labels["alertname"] == alert {
			p.t.Logf("%s: %s", a.Annotations["summary"], a.Annotations["description"])
		}
	}
}

// resolves waits until it does not any more.
func (p *prometheus) resolves(alert string) {
	p.t.Helper()
	began := time.Now()
	p.eventually(alert+" resolves", func() bool { return p.is(false, selector(alert, "firing")) })
	p.t.Logf("%s resolves after %v", alert, time.Since(began).Round(100*time.Millisecond))
}

// is tells for certain that expr has series, or none: of a Prometheus that is too
// busy to answer neither is known, and whoever waits asks again.
func (p *prometheus) is(there bool, expr string) bool {
	found, err := p.query(expr)
	return err == nil && (len(found) > 0) == there
}

// told is the names of the alerts that have been in one of the states, sorted.
func (p *prometheus) told(states string) (names []string) {
	p.t.Helper()
	found, err := p.query(fmt.Sprintf("count by (alertname) (last_over_time(ALERTS{alertstate=~%q}[%dms]))", states, max(1, time.Since(p.since).Milliseconds())))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range found {
		names = append(names, s.Metric["alertname"])
	}
	slices.Sort(names)
	return names
}

// only fails the test unless these alerts, and no others, have fired.
func (p *prometheus) only(want ...string) {
	p.t.Helper()
	slices.Sort(want)
	if got := p.told("firing"); !slices.Equal(got, want) {
		p.t.Errorf("fired: %q, want %q", got, want)
	}
}
