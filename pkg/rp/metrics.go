package rp

import (
	"errors"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/prometheus/client_golang/prometheus"
)

// What a login fails of beside the classes of an answer of the token endpoint.
const (
	failedIDToken = "id_token" // it does not hold
	failedStore   = "store"    // it has not taken the session
)

// Metrics of the package, without a label that names a user or session.
type Metrics struct{ failed *prometheus.CounterVec }

// NewMetrics registers the metrics of the package.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{failed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bff_login_failed_total", Help: "Logins that the provider sent back with a code and that became no session, by reason.",
	}, []string{"reason"})}
	r.MustRegister(m.failed)
	for _, c := range session.Classes() { // a counter that appears only with its first failure cannot be alerted on
		if c != session.Renewed {
			m.failed.WithLabelValues(c.String())
		}
	}
	m.failed.WithLabelValues(failedIDToken)
	m.failed.WithLabelValues(failedStore)
	return m
}

// begun counts a login whose code was exchanged, and which failed all the same.
func (m *Metrics) begun(err error) {
	reason := failedIDToken
	if errors.Is(err, session.ErrUnavailable) {
		reason = failedStore
	}
	m.failed.WithLabelValues(reason).Inc()
}
