package envoytest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/lamplighter/lamplighter/test/installed"
)

// The bootstraps of this repository, for [Options].Bootstrap.
const (
	// Shipped is the one to copy: every setting that an own Envoy should have.
	Shipped = "envoy/bootstrap.yaml"
	// Bare is the least that calls lamplighter, with every default of the filter.
	Bare = "envoy/bare.yaml"
)

// The clusters that both bootstraps name.
const (
	appCluster   = "app"
	authzCluster = "lamplighter"
)

// readBootstrap parses a bootstrap; a relative path starts at the checkout.
func readBootstrap(path string) (map[string]any, error) {
	if !filepath.IsAbs(path) {
		root, err := installed.Checkout()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(root, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read bootstrap: %w", err)
	}
	var bootstrap map[string]any
	if err := yaml.Unmarshal(text, &bootstrap); err != nil {
		return nil, fmt.Errorf("parse bootstrap %s: %w", path, err)
	}
	return bootstrap, nil
}

// readdress replaces the four addresses of a bootstrap. The admin interface
// gets a free port: Envoy tells which through --admin-address-path.
func readdress(bootstrap map[string]any, o Options) error {
	listener, err := Lookup(bootstrap, "static_resources", "listeners", 0)
	if err != nil {
		return err
	}
	if listener["address"], err = address(o.Listen); err != nil {
		return fmt.Errorf("set listener: %w", err)
	}
	if bootstrap["admin"] == nil {
		bootstrap["admin"] = map[string]any{}
	}
	admin, err := Lookup(bootstrap, "admin")
	if err != nil {
		return err
	}
	if admin["address"], err = address("127.0.0.1:0"); err != nil {
		return err
	}
	if err := setEndpoint(bootstrap, appCluster, o.AppAddress); err != nil {
		return err
	}
	return setEndpoint(bootstrap, authzCluster, o.AuthzAddress)
}

func setEndpoint(bootstrap map[string]any, cluster, to string) error {
	resources, err := Lookup(bootstrap, "static_resources")
	if err != nil {
		return err
	}
	clusters, _ := resources["clusters"].([]any)
	for i := range clusters {
		found, err := Lookup(clusters, i)
		if err != nil {
			return err
		}
		if found["name"] != cluster {
			continue
		}
		endpoint, err := Lookup(found, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint")
		if err != nil {
			return fmt.Errorf("cluster %s: %w", cluster, err)
		}
		if endpoint["address"], err = address(to); err != nil {
			return fmt.Errorf("set endpoint of cluster %s: %w", cluster, err)
		}
		return nil
	}
	return fmt.Errorf("set endpoint: the bootstrap has no cluster %s", cluster)
}

// address is config.core.v3.Address for "unix:///path" or "IP:port".
func address(of string) (map[string]any, error) {
	if path, ok := strings.CutPrefix(of, "unix://"); ok {
		return map[string]any{"pipe": map[string]any{"path": path}}, nil
	}
	parsed, err := netip.ParseAddrPort(of)
	if err != nil {
		return nil, fmt.Errorf("want unix:///path or IP:port: %w", err)
	}
	return map[string]any{"socket_address": map[string]any{
		"address": parsed.Addr().String(), "port_value": parsed.Port(),
	}}, nil
}

// Lookup follows keys (string) and indexes (int) from node to an object, for
// [Options].Mutate. What it returns is the object itself: writing to it changes
// the bootstrap. The error names the step that leads nowhere.
func Lookup(node any, path ...any) (map[string]any, error) {
	for i, step := range path {
		var next any
		switch step := step.(type) {
		case string:
			object, _ := node.(map[string]any)
			next = object[step]
		case int:
			if list, _ := node.([]any); step >= 0 && step < len(list) {
				next = list[step]
			}
		}
		if next == nil {
			return nil, fmt.Errorf("bootstrap has no %v", path[:i+1])
		}
		node = next
	}
	object, ok := node.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("bootstrap: %v is a %T, not an object", path, node)
	}
	return object, nil
}

// writeBootstrap writes JSON: Envoy reads either, and JSON cannot be misread.
func writeBootstrap(path string, bootstrap map[string]any) error {
	text, err := json.MarshalIndent(bootstrap, "", "  ")
	if err != nil {
		return fmt.Errorf("encode bootstrap: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}
