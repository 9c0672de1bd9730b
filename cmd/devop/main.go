// Command devop runs the development OpenID Provider of test/op on a loopback
// address: one field to log in, any name accepted, everything in memory. It
// signs in whoever asks, so it is for development and tests alone.
//
// It writes JSON lines to stderr: "provider ready" with address and issuer, one
// "provider event" for each thing that happens, and nothing secret. SIGTERM or
// SIGINT stops it; a second one at once. It exits 1 if it cannot run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/spf13/cobra"
)

// stopWithin is how long running requests get to finish at a stop. They take
// milliseconds; a browser's spare connection, never used, would take it all.
const stopWithin = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal finds the default, which kills
	// The library logs each refusal to the default logger, with what the caller
	// sent; only its own failures are wanted.
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	command := newCommand(log)
	command.SetArgs(args)
	command.SetOut(stdout)
	if err := command.ExecuteContext(ctx); err != nil {
		log.ErrorContext(ctx, "devop stopped", "error", err.Error())
		return 1
	}
	return 0
}

type flags struct {
	listen, issuer, clientID, secretFile string
	redirectURIs, postLogoutURIs         []string
	life                                 time.Duration
}

func newCommand(log *slog.Logger) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:           "devop",
		Short:         "Run the development OpenID Provider",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c.Context(), f, log)
		},
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:9400", "address to listen on; port 0 takes a free one")
	c.Flags().StringVar(&f.issuer, "issuer", "", "issuer URL without a path (default http:// and the address)")
	c.Flags().StringVar(&f.clientID, "client-id", "lamplighter", "the client")
	c.Flags().StringVar(&f.secretFile, "client-secret-file", "", "file that holds the client's secret (required)")
	c.Flags().StringArrayVar(&f.redirectURIs, "redirect-uri", nil, "redirect URI of the client; repeatable (required)")
	c.Flags().StringArrayVar(&f.postLogoutURIs, "post-logout-redirect-uri", nil, "post-logout redirect URI of the client; repeatable")
	c.Flags().DurationVar(&f.life, "access-token-life", op.DefaultAccessTokenLife, "life of access tokens, in whole seconds")
	return c
}

func serve(ctx context.Context, f flags, log *slog.Logger) error {
	secret, err := readSecret(f.secretFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: the address is taken; choose another with --listen", f.listen)
	}
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	address := listener.Addr().String()
	if f.issuer == "" {
		f.issuer = "http://" + address
	}
	provider, err := op.New(op.Options{
		Issuer: f.issuer,
		Clients: []op.Client{{
			ID: f.clientID, Secret: secret,
			RedirectURIs: f.redirectURIs, PostLogoutRedirectURIs: f.postLogoutURIs,
		}},
		AccessTokenLife: f.life,
		Log:             func(e op.Event) { logEvent(log, e) },
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler:           provider,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	log.InfoContext(ctx, "provider ready", "address", address, "issuer", f.issuer)
	return serveUntil(ctx, server, listener, provider)
}

// serveUntil serves until ctx ends, then lets requests finish; those that a
// fault holds would never do.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, provider *op.Provider) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends with Shutdown or Close, awaited below
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	provider.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // what did not finish in time is cut
	}
	<-failed
	return nil
}

func readSecret(path string) (op.Secret, error) {
	if path == "" {
		return "", errors.New("no client secret: name a file with --client-secret-file")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read client secret: %w", err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("read client secret: %s is empty", path)
	}
	return op.Secret(secret), nil
}

func logEvent(log *slog.Logger, e op.Event) {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
	for _, a := range []slog.Attr{slog.String("client", e.Client), slog.String("family", e.Family), slog.String("reason", e.Reason)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Generation > 0 {
		attrs = append(attrs, slog.Int("generation", e.Generation))
	}
	if e.Kind == op.KindLogin {
		attrs = append(attrs, slog.Bool("silent", e.Silent))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "provider event", attrs...)
}
