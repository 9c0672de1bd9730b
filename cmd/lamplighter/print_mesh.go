package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
	"github.com/spf13/cobra"
)

func printIstioCommand() *cobra.Command {
	parts := map[string]func(io.Writer, config.Config, manifest.Mesh) error{
		"policy": manifest.Istio, "mesh-config": manifest.IstioMeshConfig, "envoy-filter": manifest.IstioEnvoyFilter,
	}
	known := strings.Join(slices.Sorted(maps.Keys(parts)), ", ")
	var path, part string
	var m manifest.Mesh
	c := &cobra.Command{
		Use:   "istio",
		Short: "Print what an Istio mesh needs, to ask lamplighter",
		Long: `Prints manifests for Istio. Three parts, by --part:

  policy        the AuthorizationPolicy that has a workload's requests put to
                lamplighter, a RequestAuthentication that validates the token it
                injects, and a ServiceEntry if it is in the workload's own pods
  mesh-config   values of the chart of istiod, once for the mesh: the provider, by the
                ServiceEntry of that namespace if it is in the workload's own pods
  envoy-filter  optional: retries, and what no client may send

listen.check says where lamplighter is: 127.0.0.1:9191 is in the pods of the
workload, 0.0.0.0:9191 is behind the Service that --service names.`,
		Example: `  lamplighter print istio --config lamplighter.yaml --namespace shop --part mesh-config > istiod-values.yaml
  lamplighter print istio --config lamplighter.yaml --namespace shop --selector app=web | kubectl apply -f -
  lamplighter print istio --config lamplighter.yaml --namespace istio-ingress --selector istio=ingress --gateway \
      --service lamplighter.lamplighter.svc.cluster.local | kubectl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			render, ok := parts[part]
			if !ok {
				return usageError{fmt.Errorf("--part %q is none of %s", part, known)}
			}
			return printed(c, path, func(w io.Writer, cfg config.Config) error { return render(w, cfg, m) })
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&part, "part", "policy", "one `OF` "+known)
	c.Flags().StringVar(&m.Namespace, "namespace", "default", "`NAMESPACE` of the workload")
	c.Flags().StringToStringVar(&m.Selector, "selector", nil, "`LABEL=VALUE` of the workload's pods; repeatable")
	c.Flags().BoolVar(&m.Gateway, "gateway", false, "the workload is a gateway of the mesh")
	c.Flags().StringVar(&m.Service, "service", "", "full `HOST` name of lamplighter's Service, if it is not in the workload's pods")
	c.Flags().BoolVar(&m.OpaqueTokens, "opaque-tokens", false, "the provider's access tokens are no JWTs: leave out the RequestAuthentication")
	return c
}

func printEnvoyGatewayCommand() *cobra.Command {
	var path string
	var r manifest.Route
	c := &cobra.Command{
		Use:   "envoy-gateway",
		Short: "Print the SecurityPolicy that has Envoy Gateway ask lamplighter",
		Long: `Prints a SecurityPolicy for an HTTPRoute that there is, and with --gateway a
ClientTrafficPolicy that refuses at the door what no client may send.`,
		Example: `  lamplighter print envoy-gateway --config lamplighter.yaml --route web --gateway public | kubectl apply -f -`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printed(c, path, func(w io.Writer, cfg config.Config) error { return manifest.EnvoyGateway(w, cfg, r) })
		},
	}
	routeFlags(c, &path, &r)
	c.Flags().StringVar(&r.Name, "route", "", "`NAME` of the HTTPRoute; required")
	c.Flags().StringVar(&r.Gateway, "gateway", "", "`NAME` of its Gateway")
	return c
}

func printGatewayAPICommand() *cobra.Command {
	var path string
	var r manifest.Route
	c := &cobra.Command{
		Use:   "gateway-api",
		Short: "Print an HTTPRoute of Gateway API whose filter asks lamplighter",
		Long: `Prints an HTTPRoute with the filter ExternalAuth, which is in the experimental channel
of Gateway API (GEP-1494): see which gateways know it.`,
		Example: `  lamplighter print gateway-api --config lamplighter.yaml --route web --gateway public --app web --app-port 8080 | kubectl apply -f -`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printed(c, path, func(w io.Writer, cfg config.Config) error { return manifest.GatewayAPI(w, cfg, r) })
		},
	}
	routeFlags(c, &path, &r)
	c.Flags().StringVar(&r.Name, "route", "", "`NAME` of the HTTPRoute; required")
	c.Flags().StringVar(&r.Gateway, "gateway", "", "`NAME` of its Gateway; required")
	c.Flags().StringVar(&r.App, "app", "", "`NAME` of the Service behind it; required")
	c.Flags().Uint16Var(&r.AppPort, "app-port", 80, "`PORT` of that Service")
	return c
}

func routeFlags(c *cobra.Command, path *string, r *manifest.Route) {
	configFlag(c, path)
	c.Flags().StringVar(&r.Namespace, "namespace", "default", "`NAMESPACE` of the route")
	c.Flags().StringVar(&r.GatewayNamespace, "gateway-namespace", "", "`NAMESPACE` of its Gateway, if not the route's")
	c.Flags().StringVar(&r.Service, "service", "lamplighter", "`NAME` of lamplighter's Service")
	c.Flags().StringVar(&r.ServiceNamespace, "service-namespace", "", "`NAMESPACE` of lamplighter's Service, if not the route's")
	c.Flags().StringVar(&r.CAConfigMap, "ca-config-map", "", "`NAME` of the ConfigMap beside lamplighter whose ca.crt has signed listen.tls")
}
