package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	var takeOver bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer Envoy's checks until SIGTERM or SIGINT",
		Long: `Opens the store, binds the listeners and answers Envoy's checks.

When the config file changes, or one that it names (keys, client secret, certificates),
it is read again: all of it is served from then on, or, if anything is wrong with it,
nothing of it, and the log says what. listen, store, cache, app, provider.issuer,
provider.client_id, sweep.enabled and sweep.max_in_flight are read at a start only.

With --take-over, another lamplighter may run with the same config, over Redis: once
this one can answer checks it takes the listeners, beside the other at a port, in its
place at a socket. Stop the other when this one says "listening": no check fails.

SIGTERM or SIGINT stops it: health turns to NOT_SERVING, checks and refreshes
under way finish and are stored, then the process ends with 0. A second signal
ends it at once.

Exit codes: 0 stopped, 1 could not start or failed, 2 wrong flags or config.`,
		Example: `  lamplighter serve --config lamplighter.yaml
  lamplighter serve --config lamplighter.yaml --take-over
  LAMPLIGHTER_LISTEN_CHECK=127.0.0.1:9191 lamplighter serve --config lamplighter.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			source := app.NewSource(path, os.Environ())
			cfg, err := loadFrom(c, path, source.Load)
			if err != nil {
				return err
			}
			return serve(cfg, source, takeOver)
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&takeOver, "take-over", false, "take the listeners of another lamplighter that runs; needs store.redis")
	return c
}

var errSecondSignal = errors.New("stopped by a second signal before everything was finished")

func serve(cfg config.Config, source *app.Source, takeOver bool) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	// A file that may not grow is an error of that write, not the end of the process.
	signal.Ignore(syscall.SIGXFSZ)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() {
		level := new(slog.LevelVar)
		level.Set(telemetry.Level(cfg.Log.Level))
		a, err := app.New(cfg, app.Options{Log: telemetry.NewLogger(os.Stderr, level), Level: level, Source: source, TakeOver: takeOver, Now: app.SteadyClock()})
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
