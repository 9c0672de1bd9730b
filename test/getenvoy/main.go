// Command getenvoy installs the Envoy of the tests and the demo when it is
// missing, and prints its path.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lamplighter/lamplighter/test/envoytest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := envoytest.Install(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "getenvoy:", err)
		stop()
		os.Exit(1)
	}
	fmt.Println(path)
}
