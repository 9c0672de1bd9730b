package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// errNobody is a script's empty variable, most likely.
var errNobody = usageError{errors.New("--user is empty: write the subject (sub) that the provider gives the user")}

func sessionsRevokeCommand(o *sessionsOptions) *cobra.Command {
	var user string
	c := &cobra.Command{
		Use:   "revoke {NAME | --user SUB}",
		Short: "End a session, or all sessions of a user",
		Long: `Ends a session as a logout does: for good, on all replicas, and its refresh token is
revoked at the provider. Its user has to log in again, which the provider may do
without asking him.

--user ends all sessions of one person in this app, by the subject (sub) that the
provider gives him, and says how many there were.

Nothing is asked before.`,
		Example: `  lamplighter sessions revoke 3f2a9c01d4be
  lamplighter sessions revoke --user 248289761001`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			byUser := c.Flags().Changed("user")
			switch {
			case byUser == (len(args) == 1):
				return usageError{errors.New("write the name of one session, or --user SUB")}
			case byUser && user == "":
				return errNobody
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			if byUser {
				ended, err := client.RevokeAll(c.Context(), user)
				if err != nil {
					return o.explain(err)
				}
				return o.printCount(c, ended)
			}
			s, err := client.Revoke(c.Context(), args[0])
			if err != nil {
				return o.explain(err)
			}
			return o.print(c.OutOrStdout(), s, headline(s))
		},
	}
	c.Flags().StringVar(&user, "user", "", "`SUB`: all sessions of this user, by the provider's subject")
	return c
}

func (o *sessionsOptions) printCount(c *cobra.Command, ended int) error {
	w := c.OutOrStdout()
	if o.output == outputJSON {
		return json.NewEncoder(w).Encode(map[string]int{"ended": ended})
	}
	_, err := fmt.Fprintf(w, "sessions ended: %d\n", ended)
	return err
}
