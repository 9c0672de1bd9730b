package redisstore

import "github.com/prometheus/client_golang/prometheus"

// Metrics of the package, without a label that names a user or session.
type Metrics struct {
	trouble *prometheus.GaugeVec
}

// NewMetrics registers the metrics of the package.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{trouble: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "bff_store_trouble", Help: "1 while the store is in trouble, by kind.",
	}, []string{"kind"})}
	r.MustRegister(m.trouble)
	for _, k := range kinds() {
		m.trouble.WithLabelValues(string(k)).Set(0)
	}
	return m
}

// noMetrics are for a store that nobody measures.
func noMetrics() *Metrics { return NewMetrics(prometheus.NewRegistry()) }
