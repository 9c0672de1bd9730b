package refresh

import (
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the package, without a label that names a user or session.
type Metrics struct {
	success        prometheus.Counter
	failed         *prometheus.CounterVec
	restored       prometheus.Counter
	coalesced      prometheus.Counter
	latency        prometheus.Histogram
	inFlight       prometheus.Gauge
	sweepLag       prometheus.Histogram
	neededRate     prometheus.Gauge
	configuredRate prometheus.Gauge
	gateShut       prometheus.Gauge
}

// NewMetrics registers the metrics of the package.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		})
	}
	m := &Metrics{
		success: counter("bff_token_refresh_success_total", "Refreshes that made a new revision durable."),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bff_token_refresh_failed_total", Help: "Refresh requests without usable tokens, by class of the answer.",
		}, []string{"reason"}),
		restored:       counter("bff_token_refresh_restored_total", "Revisions that a failover of the store had lost, and that were stored again."),
		coalesced:      counter("bff_token_refresh_coalesced_total", "Callers that joined a refresh under way instead of starting one."),
		latency:        histogram("bff_token_refresh_duration_seconds", "From the begin of a refresh to the provider's tokens."),
		inFlight:       gauge("bff_token_refresh_in_flight", "Refreshes that hold a slot."),
		sweepLag:       histogram("bff_sweep_lag_seconds", "How long a session was due before the sweep started its refresh."),
		neededRate:     gauge("bff_sweep_needed_rate", "Refresh starts a second that the active sessions need."),
		configuredRate: gauge("bff_sweep_configured_rate", "Refresh starts a second that sweep.rate allows."),
		gateShut:       gauge("bff_provider_breaker_open", "1 while the provider fails every request and only probes are sent."),
	}
	r.MustRegister(m.success, m.failed, m.restored, m.coalesced, m.latency, m.inFlight, m.sweepLag, m.neededRate, m.configuredRate, m.gateShut)
	for _, c := range session.Classes() { // a counter that appears only with its first failure cannot be alerted on
		if c != session.Renewed {
			m.failed.WithLabelValues(c.String())
		}
	}
	return m
}
