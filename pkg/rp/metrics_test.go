package rp_test

import (
	"net/http"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/prometheus/client_golang/prometheus"
)

// failedLogins is the counter, by reason.
func failedLogins(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			by[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return by
}

// Every login that fails after the provider has sent it back is counted once, by what
// it failed of; all reasons are there before.
func TestFailedLoginsAreCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	w, p := withOP(t, func(o *rp.Options) { o.Metrics = rp.NewMetrics(reg) })
	reasons := []string{"transient", "unknown", "dead", "misconfigured", "refused", "foreign", "id_token", "store"}
	if by := failedLogins(t, reg); len(by) != len(reasons) {
		t.Errorf("before the first: %v", by)
	}
	for reason, c := range map[string]struct {
		fault  op.Fault
		outage error
	}{
		"dead":          {fault: op.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}},
		"misconfigured": {fault: op.Fault{Status: 401, Body: `{"error":"invalid_client"}`}},
		"transient":     {fault: op.Fault{Status: 503}},
		"unknown":       {fault: op.Fault{Status: 500}},
		"id_token":      {fault: op.Fault{Status: 200, Body: `{"access_token":"a","token_type":"Bearer","expires_in":60,"id_token":"no token"}`}},
		"store":         {outage: session.ErrUnavailable},
	} {
		before := failedLogins(t, reg)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		w.vault.outage(c.outage)
		if c.outage == nil {
			if err := p.SetFault(c.fault); err != nil {
				t.Fatal(err)
			}
		}
		if resp := b.get(callback); resp.StatusCode < 400 {
			t.Errorf("%s: %d", reason, resp.StatusCode)
		}
		p.ClearFaults()
		w.vault.outage(nil)
		for _, other := range reasons {
			want := before[other]
			if other == reason {
				want++
			}
			if got := failedLogins(t, reg)[other]; got != want {
				t.Errorf("%s: the counter of %s is %v, want %v", reason, other, got, want)
			}
		}
	}
	before := failedLogins(t, reg)
	if resp := w.browser().login(p, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("login: %d", resp.StatusCode)
	}
	for reason, n := range failedLogins(t, reg) {
		if n != before[reason] {
			t.Errorf("a login that works counts as %s", reason)
		}
	}
}
