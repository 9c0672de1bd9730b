package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/spf13/cobra"
)

func sessionsCommand() *cobra.Command {
	var o sessionsOptions
	c := &cobra.Command{
		Use:   "sessions",
		Short: "Look at sessions, refresh or end them, copy them to another store",
		Long: `Answers "why was I logged out?", and what else an operator asks of sessions.

A session is named by the 12 hex digits that the log has of it, as in
"session":"3f2a9c01d4be". What is shown holds no token and nothing of the user.

All but "copy" ask the admin listener (listen.admin) of a lamplighter that runs, over
either store. It is to be reached from where they run: from inside the pod, for one.`,
		Example: `  lamplighter sessions ls
  lamplighter sessions show 3f2a9c01d4be
  lamplighter sessions refresh 3f2a9c01d4be --config lamplighter.yaml`,
		Args: cobra.NoArgs, // or cobra takes a command that there is not for an argument
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	flags := c.PersistentFlags()
	flags.StringVar(&o.admin, "admin", defaultAdmin, "`HOST:PORT` of the admin listener")
	flags.StringVarP(&o.config, "config", "c", "", "config `FILE` (YAML) to take that from; of the store to copy from")
	flags.StringVarP(&o.output, "output", "o", outputText, "`FORMAT`: text, or json for programs")
	c.AddCommand(sessionsListCommand(&o), sessionsShowCommand(&o), sessionsRefreshCommand(&o), sessionsRevokeCommand(&o), sessionsCopyCommand(&o))
	return c
}

const (
	defaultAdmin = "127.0.0.1:9192" // that of the config too
	outputText   = "text"
	outputJSON   = "json"
)

type sessionsOptions struct{ admin, config, output string }

func sessionsShowCommand(o *sessionsOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one session: why it ended, or how it lives, and its last refreshes",
		Long: `Shows one session, alive or ended. An ended one is remembered until it would have
ended anyway (session.absolute after its login).

The first line says what became of it. The table has its last refreshes, oldest
first, with who asked: a request, the sweep in the background, or an operator.`,
		Example: `  lamplighter sessions show 3f2a9c01d4be
  lamplighter sessions show 3f2a9c01d4be --output json | jq .reason`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client(c)
			if err != nil {
				return err
			}
			s, err := client.Session(c.Context(), args[0])
			if err != nil {
				return o.explain(err)
			}
			return o.print(c.OutOrStdout(), s, headline(s))
		},
	}
}

func sessionsRefreshCommand(o *sessionsOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh NAME",
		Short: "Refresh the access token of one session now",
		Long: `Refreshes one session now, though it may not be due or its last refresh failed.

It asks the provider once, together with whoever else is asking. It does not ask
while the access token is just new, while a refresh token may be spent, or while
the provider is known to be down: what is shown says so. If the provider refuses
the refresh token, the session ends, as it would have at its next refresh.`,
		Example: `  lamplighter sessions refresh 3f2a9c01d4be`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := o.client(c)
			if err != nil {
				return err
			}
			before, after, err := refreshed(c.Context(), client, args[0])
			if err != nil {
				return o.explain(err)
			}
			return o.print(c.OutOrStdout(), after, refreshLine(before, after))
		},
	}
}

// refreshed looks before it asks: a session that has ended meanwhile is shown
// as such, and the revision tells whether there is a new token.
func refreshed(ctx context.Context, client *admin.Client, name string) (before, after admin.Session, err error) {
	if before, err = client.Session(ctx, name); err != nil {
		return before, after, err
	}
	after, err = client.Refresh(ctx, name)
	return before, after, err
}

func (o *sessionsOptions) print(w io.Writer, s admin.Session, first string) error {
	if o.output == outputJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	return writeText(w, s, first)
}

func (o *sessionsOptions) checkOutput() error {
	if o.output != outputText && o.output != outputJSON {
		return usageError{fmt.Errorf("--output %s: write text or json", o.output)}
	}
	return nil
}

// client reads the flags.
func (o *sessionsOptions) client(c *cobra.Command) (*admin.Client, error) {
	if err := o.checkOutput(); err != nil {
		return nil, err
	}
	switch {
	case o.config != "" && c.Flags().Changed("admin"):
		return nil, usageError{errors.New("--admin and --config both say where the admin listener is: leave one out")}
	case o.config != "":
		cfg, err := load(c, o.config)
		if err != nil {
			return nil, err
		}
		o.admin = cfg.Listen.Admin
	}
	host, port, err := net.SplitHostPort(o.admin)
	if err != nil {
		return nil, usageError{fmt.Errorf("--admin %s: write host:port, such as %s", o.admin, defaultAdmin)}
	}
	if port == "0" {
		return nil, usageError{errors.New(`listen.admin is any free port: write --admin with the address that the log has at "listening"`)}
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost" // it listens on every address
	}
	o.admin = net.JoinHostPort(host, port)
	return admin.NewClient(o.admin), nil
}

// explain adds what to do to an error of the client.
func (o *sessionsOptions) explain(err error) error {
	p, answered := errors.AsType[*admin.Problem](err)
	switch {
	case answered && p.Status == http.StatusBadRequest:
		return usageError{p}
	case answered:
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w; if a refresh was asked for it goes on, and `lamplighter sessions show` tells what became of it", err)
	default:
		return fmt.Errorf("%w; is lamplighter running, and %s its listen.admin? --admin HOST:PORT, or --config FILE, says where it is", err, o.admin)
	}
}
