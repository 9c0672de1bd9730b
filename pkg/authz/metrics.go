package authz

import "github.com/prometheus/client_golang/prometheus"

// Metrics of the package, without a label that names a user or session.
type Metrics struct {
	checks   [verdicts]prometheus.Observer // looked up once, not on every Check
	toExpiry prometheus.Histogram
	panics   prometheus.Counter
}

// NewMetrics registers the metrics of the package.
func NewMetrics(r prometheus.Registerer) *Metrics {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "bff_check_duration_seconds", Help: "Time to answer a Check, by decision.",
		Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .005, .025, .1, .5, 1, 3},
	}, []string{"decision"})
	m := &Metrics{
		toExpiry: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bff_token_seconds_to_expiry", Help: "Life left in the access token of an allowed request.",
			Buckets: []float64{0, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600},
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bff_check_panics_total", Help: "Checks denied because of a defect in lamplighter.",
		}),
	}
	for v := range verdicts {
		m.checks[v] = duration.WithLabelValues(v.String())
	}
	r.MustRegister(duration, m.toExpiry, m.panics)
	return m
}
