// Command getenvoy installs the Envoy of the tests and the demo when it is
// missing, and prints its path. With -versions it installs nothing and prints
// those that ENVOYTEST_VERSION can choose.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/lamplighter/lamplighter/test/envoytest"
)

func main() {
	versions := flag.Bool("versions", false, "print the versions that "+envoytest.Variable+" can choose")
	flag.Parse()
	if *versions {
		fmt.Println(strings.Join(envoytest.Versions(), "\n"))
		return
	}
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
