package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	var check string
	var live, byTLS bool
	var within time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the lamplighter that runs here whether it answers checks",
		Long: `Asks at a unix socket or port, by the gRPC health protocol: for probes of Kubernetes,
which can reach neither a socket nor a port of localhost. It reads no config file: one
that is being changed for the worse is no reason to restart what runs.

Exit codes: 0 it answers checks (with --live: it answers at all), 1 it does not,
2 wrong flags.`,
		Example: `  lamplighter health
  lamplighter health --check 127.0.0.1:9191 --live`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), within)
			defer cancel()
			serving, err := app.Probe(ctx, check, byTLS)
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
	c.Flags().StringVar(&check, "check", config.Default().Listen.Check, "`ADDRESS` where it listens, as its listen.check")
	c.Flags().BoolVar(&byTLS, "tls", false, "it has listen.tls")
	c.Flags().BoolVar(&live, "live", false, "be content with one that starts or stops, and does not answer checks")
	c.Flags().DurationVar(&within, "timeout", time.Second, "longest wait for the answer")
	return c
}
