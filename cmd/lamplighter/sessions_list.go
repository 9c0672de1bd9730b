package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/spf13/cobra"
)

const defaultLimit = 100

func sessionsListCommand(o *sessionsOptions) *cobra.Command {
	var user string
	var limit int
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the sessions that live",
		Long: `Lists the sessions that live, in no particular order: a line each, or a JSON object
each, as "sessions show" has it. Ended ones are not listed; "sessions show" knows
them by name.

--user lists those of one person, by the subject (sub) that the provider gives him.`,
		Example: `  lamplighter sessions ls
  lamplighter sessions ls --user 248289761001
  lamplighter sessions ls --limit 0 --output json | jq -r 'select(.in_doubt).id'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d: write how many sessions to list, or 0 for all", limit)}
			}
			if user == "" && c.Flags().Changed("user") {
				return errNobody
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			write := o.rows(c.OutOrStdout())
			more, err := client.List(c.Context(), user, limit, write)
			if err != nil {
				return o.explain(err)
			}
			if more {
				fmt.Fprintf(c.ErrOrStderr(), "lamplighter: there are more than these %d sessions: --limit %d lists more, --limit 0 all\n", limit, 10*limit)
			}
			return nil
		},
	}
	c.Flags().StringVar(&user, "user", "", "`SUB`: the sessions of this user only, by the provider's subject")
	c.Flags().IntVar(&limit, "limit", defaultLimit, "`N`: list so many at most; 0: all")
	return c
}

// rows returns what writes a session as one line, and writes the head of the table.
func (o *sessionsOptions) rows(w io.Writer) func(admin.Session) error {
	if o.output == outputJSON {
		lines := json.NewEncoder(w)
		return func(s admin.Session) error { return lines.Encode(s) }
	}
	_, failed := fmt.Fprintln(w, row("SESSION", "APP", "TOKEN", "EXPIRES", "LOGIN", "LAST USE", "TROUBLE"))
	return func(s admin.Session) error {
		if failed == nil {
			_, failed = fmt.Fprintln(w, sessionRow(s))
		}
		return failed
	}
}

// row has widths of its own: a table that fits itself would have to wait for the
// last of a million lines.
func row(cells ...any) string {
	return strings.TrimRight(fmt.Sprintf("%-12s  %-12s  %-10s  %-15s  %-14s  %-14s  %s", cells...), " ")
}

func sessionRow(s admin.Session) string {
	if s.Live == nil {
		return row(s.ID, "", s.State, "", "", "", "its record is damaged, or sealed with a key that is not in session.keys_file")
	}
	token := s.AccessToken
	return row(s.ID, s.App, token.Freshness, when(token.ExpiresAt, s.AsOf), when(s.CreatedAt, s.AsOf), when(s.UsedAt, s.AsOf), trouble(s))
}

// trouble is what a session has to do with refreshes, if anything.
func trouble(s admin.Session) string {
	var all []string
	if s.Attempt != nil {
		all = append(all, "refresh under way")
	}
	if s.InDoubt {
		all = append(all, "in doubt")
	}
	if s.Failures > 0 {
		all = append(all, fmt.Sprintf("failures: %d (%s)", s.Failures, s.LastClass))
	}
	if !s.Refreshable {
		all = append(all, "no refresh token")
	}
	return strings.Join(all, ", ")
}
