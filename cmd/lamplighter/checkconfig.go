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
			if _, err := load(c, path); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is good\n", path)
			return err
		},
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "", "the config file (YAML); required")
}

// load reads the config file with the environment over it.
func load(c *cobra.Command, path string) (config.Config, error) {
	return loadFrom(c, path, func() (config.Config, error) { return config.Load(path, os.Environ()) })
}

func loadFrom(c *cobra.Command, path string, read func() (config.Config, error)) (config.Config, error) {
	if path == "" {
		return config.Config{}, usageError{fmt.Errorf("no config file: write %s --config FILE", c.CommandPath())}
	}
	cfg, err := read()
	if err != nil {
		return config.Config{}, usageError{err}
	}
	return cfg, nil
}
