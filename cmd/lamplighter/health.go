package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	var path string
	var live bool
	var within time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the lamplighter that runs here whether it answers checks",
		Long: `Asks at listen.check, over its unix socket or port, by the gRPC health protocol: for
probes of Kubernetes, which can reach neither a socket nor a port of localhost.

Exit codes: 0 it answers checks (with --live: it answers at all), 1 it does not,
2 wrong flags or config.`,
		Example: `  lamplighter health --config lamplighter.yaml
  lamplighter health --config lamplighter.yaml --live`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(c, path)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), within)
			defer cancel()
			serving, err := app.Probe(ctx, cfg)
			switch {
			case err != nil:
				return err
			case serving:
				_, err = fmt.Fprintln(c.OutOrStdout(), "serving")
			case live:
				_, err = fmt.Fprintln(c.OutOrStdout(), "alive, not serving")
			default:
				err = errors.New("it runs, and does not answer checks yet, or no more: /readyz at listen.admin says why")
			}
			return err
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&live, "live", false, "be content with one that starts or stops, and does not answer checks")
	c.Flags().DurationVar(&within, "timeout", time.Second, "longest wait for the answer")
	return c
}
