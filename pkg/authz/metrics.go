package authz

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	checks   map[kind]prometheus.Observer // looked up once, not on every Check
	toExpiry prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "bff_check_duration_seconds", Help: "Time to answer a Check, by decision.",
		Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .005, .025, .1, .5, 1, 3},
	}, []string{"decision"})
	m := &metrics{
		checks: make(map[kind]prometheus.Observer),
		toExpiry: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bff_token_seconds_to_expiry", Help: "Life left in the access token of an allowed request.",
			Buckets: []float64{0, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600},
		}),
	}
	for _, k := range []kind{allow, anonymous, login, noSession, crossSite, unavailable, relying, malformed} {
		m.checks[k] = duration.WithLabelValues(string(k))
	}
	r.MustRegister(duration, m.toExpiry)
	return m
}
