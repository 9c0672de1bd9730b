package manifest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// Mesh says where in an Istio mesh lamplighter has to be asked.
type Mesh struct {
	Namespace string            // of the workload
	Selector  map[string]string // the labels of the workload's pods
	// Gateway: the workload is a gateway of the mesh, not an app with its proxy beside it.
	Gateway bool
	// Service is the full host name of lamplighter's Service. It is left empty when
	// listen.check is an address of localhost: lamplighter is then in the workload's pods.
	Service string
	// OpaqueTokens: the provider's access tokens are no JWTs, nobody but it can read them.
	OpaqueTokens bool
}

// besideHost is what the mesh calls the lamplighter of a proxy's own pod.
const besideHost = "lamplighter.internal"

// IstioMeshConfig writes what a MeshConfig needs: the extension provider.
func IstioMeshConfig(w io.Writer, c config.Config, m Mesh) error {
	e, err := m.provider(c)
	if err != nil {
		return err
	}
	return render(w, "istio-mesh-config.yaml.tmpl", e)
}

// Istio writes the ServiceEntry, if lamplighter is beside the proxy, the
// AuthorizationPolicy, and the RequestAuthentication.
func Istio(w io.Writer, c config.Config, m Mesh) error { return m.render(w, c, "istio.yaml.tmpl") }

// IstioEnvoyFilter writes the EnvoyFilter for what a provider of the mesh cannot set.
func IstioEnvoyFilter(w io.Writer, c config.Config, m Mesh) error {
	return m.render(w, c, "istio-envoy-filter.yaml.tmpl")
}

// meshProvider is lamplighter as the mesh knows it.
type meshProvider struct {
	Service string // as a MeshConfig names it
	Host    string // of a ServiceEntry
	Address string // of localhost; empty: elsewhere
	Port    uint16
	Metrics uint16 // that a scraper asks in the same pod; 0: none
	Timeout string
}

func (m Mesh) provider(c config.Config) (p meshProvider, err error) {
	if c.Listen.TLS != nil {
		return p, errors.New("listen.tls: a mesh secures what goes to lamplighter itself, leave it out")
	}
	host, port, err := overNetwork(c)
	if err != nil {
		return p, err
	}
	p = meshProvider{Service: m.Service, Port: port, Timeout: seconds(timeout(c))}
	switch ip, _ := netip.ParseAddr(host); {
	case host != "localhost" && !ip.IsLoopback():
		return p, checkNames(named{"Service of lamplighter, by its full host name", m.Service})
	case m.Service != "":
		return p, fmt.Errorf("listen.check is %s, which no Service can reach: leave out the Service, or write 0.0.0.0:%d", c.Listen.Check, port)
	case host == "localhost":
		host = "127.0.0.1"
	}
	// A host that several namespaces have is found by that of one: without it, none is.
	if e, err := hostPort(c.Listen.Metrics); err == nil {
		p.Metrics = e.Port
	}
	p.Service, p.Host, p.Address = m.Namespace+"/"+besideHost, besideHost, host
	return p, checkNames(named{"namespace", m.Namespace})
}

func (m Mesh) render(w io.Writer, c config.Config, name string) error {
	type label struct{ Key, Value string }
	values := struct {
		meshProvider
		Name, Namespace, Issuer, Context, MaxInterval string
		Selector                                      []label
		Identity                                      []string
		OpaqueTokens                                  bool
	}{
		Namespace: m.Namespace, Issuer: c.Provider.Issuer, Context: "SIDECAR_INBOUND", MaxInterval: seconds(2 * timeout(c)),
		Identity: identity(c.Headers), OpaqueTokens: m.OpaqueTokens,
	}
	var err error
	if values.meshProvider, err = m.provider(c); err != nil {
		return err
	}
	if err := checkNames(named{"namespace", m.Namespace}); err != nil {
		return err
	}
	if len(m.Selector) == 0 { // it would be every workload of the namespace
		return errors.New("name the workload by a label of its pods, such as app=web")
	}
	words := []string{"lamplighter"}
	for _, key := range slices.Sorted(maps.Keys(m.Selector)) {
		values.Selector = append(values.Selector, label{key, m.Selector[key]})
		words = append(words, m.Selector[key])
	}
	values.Name = own(words...)
	if m.Gateway {
		values.Context = "GATEWAY"
	}
	return render(w, name, values)
}

// overNetwork is where lamplighter listens, which has to be a port.
func overNetwork(c config.Config) (host string, port uint16, err error) {
	if strings.HasPrefix(c.Listen.Check, "unix:") {
		return "", 0, errors.New("listen.check is a unix socket, which can only be asked by an Envoy that is told its path: write 127.0.0.1:9191 for one in the same pod, 0.0.0.0:9191 for any other")
	}
	e, err := hostPort(c.Listen.Check)
	if err != nil {
		return "", 0, fmt.Errorf("find lamplighter at %s: %w", c.Listen.Check, err)
	}
	host, _, _ = net.SplitHostPort(c.Listen.Check)
	return host, e.Port, nil
}
