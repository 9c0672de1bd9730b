package app

import (
	"github.com/lamplighter/lamplighter/pkg/authz"
	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the process, and those of parts that are made anew.
type metrics struct {
	checks *authz.Metrics
	logins *rp.Metrics
	loaded prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		checks: authz.NewMetrics(r),
		logins: rp.NewMetrics(r),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bff_config_last_reload_successful",
			Help: "1 while what is served is what the config file and the files it names say; 0: a change of them was refused.",
		}),
	}
	m.loaded.Set(1)
	r.MustRegister(m.loaded)
	return m
}
