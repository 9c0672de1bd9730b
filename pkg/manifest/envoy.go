package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
)

const (
	// leastTimeout of a Check: it covers a restart of lamplighter, by retries.
	leastTimeout = 5 * time.Second
	// beyondWait is what a Check may take longer than its wait for a refresh.
	beyondWait = 2 * time.Second
)

// Gateway is one Envoy, with its own bootstrap. Addresses are host:port.
type Gateway struct {
	Listen string // where it listens
	App    string // what is behind it
	// Lamplighter is where it finds lamplighter; empty: at listen.check, on the same
	// machine.
	Lamplighter string
	// CA is the file, as Envoy sees it, with what has signed lamplighter's certificate;
	// needed with listen.tls.
	CA string
}

// Envoy writes a bootstrap for g. An error names what cannot be an address.
func Envoy(w io.Writer, c config.Config, g Gateway) error {
	values := struct {
		Listen, App, Check   endpoint
		Identity             []string // headers, as Envoy spells them
		PathPrefix           string
		Timeout, MaxInterval string
	}{Identity: identity(c.Headers), PathPrefix: c.PathPrefix}
	var err error
	if values.Listen, err = hostPort(g.Listen); err != nil {
		return fmt.Errorf("listen at %s: %w", g.Listen, err)
	}
	if values.App, err = hostPort(g.App); err != nil {
		return fmt.Errorf("find the app at %s: %w", g.App, err)
	}
	if values.Check, err = g.check(c.Listen); err != nil {
		return err
	}
	values.Timeout, values.MaxInterval = seconds(timeout(c)), seconds(2*timeout(c))
	return render(w, "envoy.yaml.tmpl", values)
}

// check is where Checks go.
func (g Gateway) check(l config.Listen) (e endpoint, err error) {
	if (l.TLS != nil) != (g.CA != "") {
		return e, errors.New("listen.tls and the file with its CA go together: name both, or none")
	}
	path, socket := strings.CutPrefix(l.Check, "unix://")
	if socket && g.Lamplighter == "" {
		return endpoint{Path: path, Discovery: static}, nil
	}
	at := cmp.Or(g.Lamplighter, l.Check)
	if e, err = hostPort(at); err != nil {
		return e, fmt.Errorf("find lamplighter at %s: %w", at, err)
	}
	switch e.Host { // every address of this machine
	case "0.0.0.0":
		e.Host = "127.0.0.1"
	case "::":
		e.Host = "::1"
	}
	if e.CA = g.CA; e.CA != "" {
		e.NameType = "DNS"
		if e.Discovery == static {
			e.NameType = "IP_ADDRESS"
		}
	}
	return e, nil
}

// timeout of a Check.
func timeout(c config.Config) time.Duration {
	return max(leastTimeout, c.Refresh.MaxWait.Std()+beyondWait)
}

// How Envoy finds the addresses of a cluster (Cluster.DiscoveryType).
const (
	static = "STATIC"
	byDNS  = "STRICT_DNS"
)

// endpoint has a Path, or a Host and a Port.
type endpoint struct {
	Path, Host string
	Port       uint16
	Discovery  string
	CA         string // empty: no TLS
	NameType   string // of Host in the certificate (SubjectAltNameMatcher.SanType)
}

func hostPort(address string) (e endpoint, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return e, errors.New("write host:port")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return e, errors.New("write host:port, with a port from 1 to 65535")
	}
	e = endpoint{Host: host, Port: uint16(n), Discovery: byDNS}
	if host == "" {
		e.Host = "0.0.0.0"
	}
	if _, err := netip.ParseAddr(e.Host); err == nil {
		e.Discovery = static
	}
	return e, nil
}

// identity are the headers that lamplighter sets, and that no client may send.
func identity(h config.Headers) (names []string) {
	all := []string{h.UserID, h.Email, h.Name, h.AuthTime, h.SessionID}
	for _, claim := range slices.Sorted(maps.Keys(h.Claims)) {
		all = append(all, h.Claims[claim])
	}
	for _, name := range all {
		if name != "" {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// seconds is a duration as protobuf's JSON has it.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
