package main

import (
	"fmt"
	"io"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/manifest"
	"github.com/spf13/cobra"
)

func printCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "print",
		Short: "Print what others have to be told, from the config file",
		Long: `Prints configuration of others that has to fit that of lamplighter: where Checks go,
how long they may take, which headers no client may send, which paths are
lamplighter's own.`,
		Example: `  lamplighter print envoy --config lamplighter.yaml > envoy.yaml
  lamplighter print istio --config lamplighter.yaml --selector app=web | kubectl apply -f -`,
		Args: cobra.NoArgs, // or cobra takes a command that there is not for an argument
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(printEnvoyCommand(), printIstioCommand(), printEnvoyGatewayCommand(), printGatewayAPICommand())
	return c
}

func printEnvoyCommand() *cobra.Command {
	var path string
	var g manifest.Gateway
	c := &cobra.Command{
		Use:   "envoy",
		Short: "Print a bootstrap for one Envoy in front of one app",
		Long: `Prints a whole bootstrap, for Envoy 1.36 to 1.40, that runs as it is: a listener
without TLS, the app behind it, and lamplighter where listen.check says, or
--lamplighter, if that is another machine. With listen.tls it needs --ca.`,
		Example: `  lamplighter print envoy --config lamplighter.yaml --listen 0.0.0.0:8080 --app 127.0.0.1:3000 > envoy.yaml
  envoy --config-path envoy.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printed(c, path, func(w io.Writer, cfg config.Config) error { return manifest.Envoy(w, cfg, g) })
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&g.Listen, "listen", "127.0.0.1:8080", "`HOST:PORT` where Envoy listens")
	c.Flags().StringVar(&g.App, "app", "127.0.0.1:8081", "`HOST:PORT` of the app behind it")
	c.Flags().StringVar(&g.Lamplighter, "lamplighter", "", "`HOST:PORT` where Envoy finds lamplighter, if not as listen.check says")
	c.Flags().StringVar(&g.CA, "ca", "", "`FILE`, as Envoy sees it, with the CA of lamplighter's certificate")
	return c
}

// printed renders from the config file at path.
func printed(c *cobra.Command, path string, render func(io.Writer, config.Config) error) error {
	cfg, err := load(c, path)
	if err != nil {
		return err
	}
	if err := render(c.OutOrStdout(), cfg); err != nil {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	}
	return nil
}
