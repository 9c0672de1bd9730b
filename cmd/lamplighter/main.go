// Command lamplighter is a token-refreshing external-authorization server for
// Envoy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes: a wrong call or config can only be mended by a person, a failed
// run may be tried again.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake that our own code finds in the command line or the
// config file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "lamplighter",
		Short: "Keeps the access token behind every browser session alight",
		Long: `lamplighter answers Envoy's external authorization checks (ext_authz v3, gRPC).

The browser holds an opaque cookie, the tokens stay here, and every upstream
request leaves Envoy with a fresh "Authorization: Bearer ...". Each access token
is refreshed before it expires, exactly once.`,
		Example: `  lamplighter check-config --config lamplighter.yaml
  lamplighter serve --config lamplighter.yaml
  lamplighter sessions show 3f2a9c01d4be`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	understood := false // cobra's own errors come before the command runs
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.AddCommand(serveCommand(), checkConfigCommand(), healthCommand(), sessionsCommand(), printCommand(), schemaCommand(), versionCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return 0
	}
	if _, usage := errors.AsType[usageError](err); usage {
		understood = false
	} else if !understood {
		err = fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	}
	fmt.Fprintf(stderr, "lamplighter: %v\n", err)
	if !understood {
		return exitUsage
	}
	return exitFailed
}
