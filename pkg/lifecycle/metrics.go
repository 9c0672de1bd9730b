package lifecycle

import (
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the package, without a label that names a user or session.
type Metrics struct {
	ended     *prometheus.CounterVec
	unrevoked prometheus.Counter
}

// NewMetrics registers the metrics of the package.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bff_sessions_ended_total", Help: "Sessions ended, by reason.",
		}, []string{"reason"}),
		unrevoked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bff_token_revocation_failed_total", Help: "Refresh tokens of ended sessions that could not be revoked at the provider.",
		}),
	}
	r.MustRegister(m.ended, m.unrevoked)
	for _, why := range session.Reasons() { // the first of a counter that was not there is no increase to Prometheus
		m.ended.WithLabelValues(string(why))
	}
	return m
}
