package manifest

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// Route says which route of Gateway API puts its requests to lamplighter, and where
// lamplighter is.
type Route struct {
	Namespace string
	Name      string // of the HTTPRoute
	// Gateway is the name of the route's Gateway; for Envoy Gateway it may be empty, and
	// nothing is then said of what clients may send.
	Gateway string
	// GatewayNamespace is where the Gateway is; empty: Namespace.
	GatewayNamespace string
	// App is the name of the Service behind the route, AppPort its port; for
	// [GatewayAPI] only.
	App     string
	AppPort uint16
	// Service is lamplighter's Service, ServiceNamespace where that is; empty: Namespace.
	Service, ServiceNamespace string
	// CAConfigMap holds the CA of lamplighter's certificate; needed with listen.tls.
	CAConfigMap string
}

// EnvoyGateway writes the SecurityPolicy of an HTTPRoute that there is, and a
// ClientTrafficPolicy of its Gateway, if that is named.
func EnvoyGateway(w io.Writer, c config.Config, r Route) error {
	return r.render(w, c, "envoy-gateway.yaml.tmpl", "gateway.envoyproxy.io", "SecurityPolicy")
}

// GatewayAPI writes an HTTPRoute with the filter ExternalAuth (GEP-1494).
func GatewayAPI(w io.Writer, c config.Config, r Route) error {
	if err := checkNames(named{"Gateway", r.Gateway}, named{"app", r.App}); err != nil {
		return err
	}
	return r.render(w, c, "gateway-api.yaml.tmpl", "gateway.networking.k8s.io", "HTTPRoute")
}

// render writes a manifest whose object of that group and kind names the Service.
func (r Route) render(w io.Writer, c config.Config, name, group, kind string) error {
	if r.ServiceNamespace == "" {
		r.ServiceNamespace = r.Namespace
	}
	if r.GatewayNamespace == "" {
		r.GatewayNamespace = r.Namespace
	}
	values := struct {
		Route
		Port                                           uint16
		Identity                                       []string
		Timeout, MaxInterval                           string
		Hostname, AskingGroup, AskingKind, ServiceHost string
	}{
		Route: r, Identity: identity(c.Headers), Timeout: gatewayDuration(timeout(c)), MaxInterval: gatewayDuration(2 * timeout(c)),
		AskingGroup: group, AskingKind: kind, ServiceHost: r.Service + "." + r.ServiceNamespace + ".svc",
	}
	if err := checkNames(named{"namespace", r.Namespace}, named{"route", r.Name}, named{"Service", r.Service}, named{"namespace of the Service", r.ServiceNamespace}, named{"namespace of the Gateway", r.GatewayNamespace}); err != nil {
		return err
	}
	var host string
	var err error
	if host, values.Port, err = overNetwork(c); err != nil {
		return err
	}
	if ip, _ := netip.ParseAddr(host); host == "localhost" || ip.IsLoopback() {
		return fmt.Errorf("listen.check is %s, which no gateway can reach: write 0.0.0.0:%d", c.Listen.Check, values.Port)
	}
	if (c.Listen.TLS != nil) != (r.CAConfigMap != "") {
		return errors.New("listen.tls and the ConfigMap with its CA go together: name both, or none")
	}
	external, err := url.Parse(c.ExternalURL)
	if err != nil {
		return fmt.Errorf("read external_url: %w", err)
	}
	values.Hostname = external.Hostname()
	return render(w, name, values)
}

// gatewayDuration is a duration as Gateway API has it (GEP-2257): without fractions.
func gatewayDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}
