package manifest

import (
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

// Envoy writes a bootstrap for one Envoy that listens at listen and has the app at
// app behind it, both host:port. An error names what cannot be one.
func Envoy(w io.Writer, c config.Config, listen, app string) error {
	values := struct {
		Listen, App, Check   endpoint
		Identity             []string // headers, as Envoy spells them
		PathPrefix           string
		Timeout, MaxInterval string
	}{Identity: identity(c.Headers), PathPrefix: c.PathPrefix}
	var err error
	if values.Listen, err = hostPort(listen); err != nil {
		return fmt.Errorf("listen at %s: %w", listen, err)
	}
	if values.App, err = hostPort(app); err != nil {
		return fmt.Errorf("find the app at %s: %w", app, err)
	}
	if path, ok := strings.CutPrefix(c.Listen.Check, "unix://"); ok {
		values.Check = endpoint{Path: path, Discovery: static}
	} else if values.Check, err = hostPort(c.Listen.Check); err != nil {
		return fmt.Errorf("find lamplighter at %s: %w", c.Listen.Check, err)
	}
	values.Timeout, values.MaxInterval = seconds(timeout(c)), seconds(2*timeout(c))
	return render(w, "envoy.yaml.tmpl", values)
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
}

func hostPort(address string) (e endpoint, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return e, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return e, fmt.Errorf("port %q is no number from 1 to 65535", port)
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
