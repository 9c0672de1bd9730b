package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/lamplighter/lamplighter/test/installed"
)

// Module returns the folder of a Go module's source, which is read-only.
func Module(ctx context.Context, path, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir, cmd.Env = os.TempDir(), goEnv() // not in this module, whose go.sum would grow
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if broken := json.Unmarshal(out, &module); err == nil {
		err = broken
	}
	if err != nil || module.Dir == "" {
		return "", fmt.Errorf("download module %s %s: %s: %w", path, version, module.Error, err)
	}
	return module.Dir, nil
}

// definitions are the CRDs that a module has in files, of which some are left out.
type definitions struct {
	module, version string
	files           string
	without         []string
}

const (
	istioVersion        = "1.32.0"
	gatewayVersion      = "1.6.0"
	operatorVersion     = "0.85.0"
	envoyGatewayVersion = "1.9.1"
)

// CRDVersions says whose definitions CRDs has.
const CRDVersions = "Istio " + istioVersion + ", Gateway API " + gatewayVersion + " (experimental), Prometheus operator " +
	operatorVersion + ", Envoy Gateway " + envoyGatewayVersion

func allDefinitions() []definitions {
	return []definitions{
		{module: "istio.io/api", version: istioVersion, files: "kubernetes/customresourcedefinitions.gen.yaml"},
		// The standard channel's HTTPRoute has no ExternalAuth filter.
		{module: "sigs.k8s.io/gateway-api", version: gatewayVersion, files: "config/crd/experimental/*.yaml",
			without: []string{"kustomization.yaml", "gateway.networking.k8s.io_vap_safeupgrades.yaml"}},
		{module: "github.com/prometheus-operator/prometheus-operator", version: operatorVersion, files: "example/prometheus-operator-crd/*.yaml"},
		{module: "github.com/envoyproxy/gateway", version: envoyGatewayVersion, files: "charts/gateway-helm/charts/crds/crds/generated/*.yaml"},
	}
}

// CRDs returns a folder of YAML files: the CRDs of Istio, of Gateway API's
// experimental channel, of the Prometheus operator and of Envoy Gateway.
func CRDs(ctx context.Context, log io.Writer) (string, error) {
	name := "crds-istio-" + istioVersion + "-gateway-api-" + gatewayVersion +
		"-prometheus-operator-" + operatorVersion + "-envoy-gateway-" + envoyGatewayVersion
	return installed.Folder(ctx, below, name, func(dir string) error {
		fmt.Fprintf(log, "tools: getting %s\n", name)
		for _, d := range allDefinitions() {
			if err := d.copyTo(ctx, dir); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d definitions) copyTo(ctx context.Context, dir string) error {
	source, err := Module(ctx, d.module, "v"+d.version)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(source, d.files))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("find the CRDs of %s %s: no %s", d.module, d.version, d.files)
	}
	for _, file := range files {
		if slices.Contains(d.without, filepath.Base(file)) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
