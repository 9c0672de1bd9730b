// Command gettool gets the named tools of the Kubernetes tests when they are
// missing, and prints their paths; crds is the folder of the CRDs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/lamplighter/lamplighter/test/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: gettool NAME...: crds,", strings.Join(tools.Names(), ", "))
		os.Exit(2)
	}
	for _, name := range os.Args[1:] {
		path, err := get(ctx, name, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gettool:", err)
			stop()
			os.Exit(1)
		}
		fmt.Println(path)
	}
}

func get(ctx context.Context, name string, log io.Writer) (string, error) {
	if name == "crds" {
		return tools.CRDs(ctx, log)
	}
	return tools.Path(ctx, name, log)
}
