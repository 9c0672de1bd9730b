package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// What an operator builds dashboards and alerts on.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second})
	b := s.Browser(t)
	lamp := s.Lamplighter
	for _, series := range []string{
		"bff_token_refresh_success_total", `bff_token_refresh_failed_total{reason="dead"}`, `bff_token_refresh_failed_total{reason="transient"}`,
		"bff_token_refresh_duration_seconds_count", "bff_token_refresh_in_flight", "bff_token_refresh_coalesced_total",
		"bff_token_seconds_to_expiry_count", "bff_sweep_lag_seconds_count", "bff_sweep_needed_rate", "bff_sweep_configured_rate",
		`bff_sessions_ended_total{reason="dead"}`, `bff_sessions_ended_total{reason="lost_answer"}`, "bff_token_revocation_failed_total",
		`bff_login_failed_total{reason="misconfigured"}`, `bff_check_duration_seconds_count{decision="allow"}`, `bff_check_duration_seconds_count{decision="login"}`,
	} { // all there from the start: an alert on an absent series never fires
		if _, body, err := lamp.Get("/metrics"); err != nil || !strings.Contains(body, "\n"+series+" ") {
			t.Errorf("no %s before the first login, %v", series, err)
		}
	}
	b.Login("/", "ada")
	b.Fetch("/")
	if a := s.Browser(t).Fetch("/"); a.Status != http.StatusUnauthorized {
		t.Errorf("without a session: %v", a)
	}
	eventually(t, "a sweep", func() bool { return refreshes(s) >= 2 && lamp.Metric("bff_token_refresh_in_flight") == 0 })
	for series, want := range map[string]float64{
		`bff_check_duration_seconds_count{decision="allow"}`:      2,
		`bff_check_duration_seconds_count{decision="login"}`:      1,
		`bff_check_duration_seconds_count{decision="no_session"}`: 1,
		`bff_check_duration_seconds_count{decision="own"}`:        1, // the callback
		"bff_token_seconds_to_expiry_count":                       2,
		"bff_sweep_configured_rate":                               300,
		`bff_token_refresh_failed_total{reason="dead"}`:           0,
	} {
		if got := lamp.Metric(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	eventually(t, "as many successes as the provider has counted", func() bool {
		n := float64(s.OP.Ledger().ReceivedBy["refresh_token"]["200"])
		return lamp.Metric("bff_token_refresh_success_total") == n && lamp.Metric("bff_token_refresh_duration_seconds_count") == n && lamp.Metric("bff_sweep_lag_seconds_count") == n
	})

	_, body, err := lamp.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range regexp.MustCompile(`(?m)^bff_\w+\{(.*)\} `).FindAllStringSubmatch(body, -1) {
		for _, name := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(label[1], -1) {
			if !slices.Contains([]string{"reason", "decision", "le"}, name[1]) {
				t.Errorf("a label %s, which may name a user or a session", name[1])
			}
		}
	}
}
