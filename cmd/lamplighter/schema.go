package main

import (
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/spf13/cobra"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the config file, for editors and validators",
		Example: `  lamplighter schema > lamplighter.schema.json
  # then, as the first line of lamplighter.yaml:
  # yaml-language-server: $schema=lamplighter.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(schema)
			return err
		},
	}
}
