// Command demo runs everything on this machine, each part as its own process as
// in real life: the development OpenID Provider, an echo API, lamplighter with
// the embedded store, and a real Envoy with the bootstrap of envoy/. `make demo`
// builds the binaries and starts it.
//
// DEMO_PORT is the port of the app (8080).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const tokenLife = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("DEMO_PORT"), tokenLife, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
