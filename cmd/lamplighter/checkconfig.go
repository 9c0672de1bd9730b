package main

import (
	"fmt"
	"os"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/spf13/cobra"
)

func checkConfigCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check-config",
		Short: "Say everything that is wrong with a config file, without starting",
		Long: `Reads the config file with the LAMPLIGHTER_ environment variables over it, and
lists every complaint at once, each with its line and what would be right.
Files that the config names (keys, client secret, store) are not opened.`,
		Example: `  lamplighter check-config --config lamplighter.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := config.Load(path, os.Environ()); err != nil {
				return usageError{err}
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is good\n", path)
			return err
		},
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "", "the config file (YAML)")
	_ = c.MarkFlagRequired("config") // fails only for a flag that does not exist
}
