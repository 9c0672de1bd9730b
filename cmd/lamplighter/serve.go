package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/telemetry"
	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer Envoy's checks until SIGTERM or SIGINT",
		Long: `Opens the store, binds the listeners and answers Envoy's checks.

SIGTERM or SIGINT stops it: health turns to NOT_SERVING, checks and refreshes
under way finish and are stored, then the process ends with 0. A second signal
ends it at once.

Exit codes: 0 stopped, 1 could not start or failed, 2 wrong flags or config.`,
		Example: `  lamplighter serve --config lamplighter.yaml
  LAMPLIGHTER_LISTEN_CHECK=127.0.0.1:9191 lamplighter serve --config lamplighter.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(c, path)
			if err != nil {
				return err
			}
			return serve(cfg)
		},
	}
	configFlag(c, &path)
	return c
}

var errSecondSignal = errors.New("stopped by a second signal before everything was finished")

func serve(cfg config.Config) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	// A file that may not grow is an error of that write, not the end of the process.
	signal.Ignore(syscall.SIGXFSZ)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() {
		a, err := app.New(cfg, app.Options{Log: telemetry.NewLogger(os.Stderr, cfg.Log.Level), Now: app.SteadyClock()})
		if err == nil {
			err = a.Run(ctx)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-signals:
		stop()
	}
	select {
	case err := <-done:
		return err
	case s := <-signals:
		return fmt.Errorf("%s: %w", s, errSecondSignal)
	}
}
