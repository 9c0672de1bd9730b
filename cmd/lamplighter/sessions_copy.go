package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"time"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/telemetry"
	"github.com/spf13/cobra"
)

func sessionsCopyCommand(o *sessionsOptions) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "copy",
		Short: "Copy all sessions to another store, as from one lamplighter to replicas",
		Long: `Copies every session, and what is remembered of ended ones, from the store of one
config file to that of another: from bbolt to Redis, and from any to any. Nobody is
logged out.

Stop the lamplighter first, copy, then start the replicas. The first store is only
read, and must not be served again beside or after the second: a session would be
refreshed by both, and most providers end it when a refresh token comes twice.

It can be repeated: what the second store has as new or newer, or has ended itself,
stays there. A refresh that was under way counts as one whose answer was lost, and
is asked for again as provider.replay says. What is sealed is sealed anew, with the
second file's keys.

Exit codes: 0 everything was copied or is there, 1 something could not be read or
the copy failed, 2 wrong flags or config.`,
		Example: `  lamplighter sessions copy --config lamplighter.yaml --to replicas.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("admin") {
				return usageError{errors.New("--admin: no lamplighter is asked, the stores are opened: leave it out")}
			}
			if err := o.checkOutput(); err != nil {
				return err
			}
			from, into, err := copyConfigs(c, o.config, to)
			if err != nil {
				return err
			}
			errOut := c.ErrOrStderr()
			tell := teller{w: errOut, now: time.Now, told: time.Now()}
			done, err := app.Copy(c.Context(), from, into, telemetry.NewLogger(errOut, slog.LevelWarn), app.CopyWatch{
				Progress: tell.progress, Unreadable: tell.unreadable,
			})
			if err != nil {
				return fmt.Errorf("copy sessions: %w; copied until then: %d; the first store is as it was, and to repeat the command is safe", err, done.Sessions)
			}
			if err := o.printCopied(c.OutOrStdout(), done); err != nil {
				return err
			}
			if done.Unreadable > 0 {
				return fmt.Errorf("sessions that could not be read: %d; if the file of session.keys_file in %s lacks a key, add it and repeat the command", done.Unreadable, o.config)
			}
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "config `FILE` (YAML) of the store to copy to; required")
	return c
}

// copyConfigs reads both files. With what must be the same in both and is not, the
// sessions would be of no use to whoever serves them.
func copyConfigs(c *cobra.Command, fromFile, toFile string) (from, to config.Config, err error) {
	if toFile == "" {
		return from, to, usageError{fmt.Errorf("no config file to copy to: write %s --config FROM --to TO", c.CommandPath())}
	}
	if from, err = load(c, fromFile); err != nil {
		return from, to, err
	}
	if to, err = load(c, toFile); err != nil {
		return from, to, err
	}
	if from.Store.Memory != nil || to.Store.Memory != nil {
		return from, to, usageError{errors.New("store.memory ends with its process: there is nothing to copy")}
	}
	if reflect.DeepEqual(from.Store, to.Store) {
		return from, to, usageError{fmt.Errorf("store is the same in %s and %s: write two", fromFile, toFile)}
	}
	for _, same := range []struct{ key, from, to string }{
		{"app", from.App, to.App},
		{"provider.issuer", from.Provider.Issuer, to.Provider.Issuer},
		{"provider.client_id", from.Provider.ClientID, to.Provider.ClientID},
		{"session.cookie.name", from.Session.Cookie.Name, to.Session.Cookie.Name},
	} {
		if same.from != same.to {
			return from, to, usageError{fmt.Errorf("%s is %q in %s and %q in %s: the sessions belong to the first; write the same", same.key, same.from, fromFile, same.to, toFile)}
		}
	}
	return from, to, nil
}

const (
	tellEvery  = 2 * time.Second
	tellOfMost = 10 // sessions that cannot be read; when a key is missing all cannot
)

// teller keeps a person informed, at a terminal or in a log.
type teller struct {
	w    io.Writer
	now  func() time.Time
	told time.Time
	bad  int
}

func (t *teller) progress(done app.Copied) {
	if now := t.now(); now.Sub(t.told) >= tellEvery {
		t.told = now
		fmt.Fprintf(t.w, "lamplighter: so far %s\n", copiedText(done))
	}
}

func (t *teller) unreadable(name string, why error) {
	switch t.bad++; {
	case t.bad <= tellOfMost:
		fmt.Fprintf(t.w, "lamplighter: session %s is left out: %v\n", name, why)
	case t.bad == tellOfMost+1:
		fmt.Fprintln(t.w, "lamplighter: more sessions are left out, which are counted")
	}
}

func copiedText(c app.Copied) string {
	return fmt.Sprintf("copied: %d, of these in doubt: %d, ended ones: %d, already there: %d, unreadable: %d", c.Sessions, c.InDoubt, c.Ended, c.There, c.Unreadable)
}

func (o *sessionsOptions) printCopied(w io.Writer, c app.Copied) error {
	if o.output == outputJSON {
		return json.NewEncoder(w).Encode(map[string]int{
			"copied": c.Sessions, "in_doubt": c.InDoubt, "ended": c.Ended, "already_there": c.There, "unreadable": c.Unreadable,
		})
	}
	_, err := fmt.Fprintf(w, "%s\nthe first store must not be served any more\n", copiedText(c))
	return err
}
