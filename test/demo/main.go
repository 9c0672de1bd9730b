// Command demo runs everything on this machine, each part as its own process as
// in real life: the development OpenID Provider, an echo API, lamplighter with
// the embedded store, and a real Envoy with the bootstrap of envoy/. `make demo`
// builds the binaries and starts it. With -replicas 2 there are two lamplighters,
// each with its Envoy, over one Redis and behind one port: `make demo-replicas`.
//
// DEMO_PORT is the port of the app (8080).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const tokenLife = time.Minute

func main() {
	replicas := flag.Int("replicas", 1, "how many lamplighters there are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("DEMO_PORT"), max(1, *replicas), tokenLife, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
