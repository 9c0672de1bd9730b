package envoytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
)

// stopGrace is how long Envoy may take to end after SIGTERM.
const stopGrace = 5 * time.Second

// Options say which bootstrap runs between which addresses.
type Options struct {
	// Bootstrap is the file to run: Shipped, Bare or another. A relative path
	// starts at the checkout.
	Bootstrap string
	// AuthzAddress is where lamplighter answers Check: "unix:///path" or "IP:port".
	AuthzAddress string
	// AppAddress is where the app listens, in the same spelling.
	AppAddress string
	// Listen is Envoy's own "IP:port". Empty means 127.0.0.1 and a free port.
	Listen string
	// Concurrency is the number of worker threads. 0 means Envoy's default, one a core.
	Concurrency int
	// LogWriter receives Envoy's log (warnings and worse) too. It may be nil.
	LogWriter io.Writer
	// Mutate changes the parsed bootstrap after the addresses are set. It may be
	// nil. Lookup finds the places.
	Mutate func(bootstrap map[string]any) error
}

// Envoy is one running process. Its methods may be called by any goroutine.
type Envoy struct {
	addr  string
	admin string
	log   *logTail
	proc  *child.Process
}

// Start runs an Envoy and returns once it serves. ctx bounds the installation
// and the wait, not the life of the process: that lasts until Stop. The error
// of a failed start carries Envoy's log.
func Start(ctx context.Context, o Options) (*Envoy, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	log := &logTail{next: o.LogWriter}
	binary, err := Install(ctx, log)
	if err != nil {
		return nil, err
	}
	bootstrap, err := readBootstrap(o.Bootstrap)
	if err != nil {
		return nil, err
	}
	if err := readdress(bootstrap, o); err != nil {
		return nil, err
	}
	if o.Mutate != nil {
		if err := o.Mutate(bootstrap); err != nil {
			return nil, fmt.Errorf("mutate bootstrap: %w", err)
		}
	}
	if err := portIsFree(o.Listen); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "envoy-")
	if err != nil {
		return nil, err
	}
	// Envoy has read its files by the time it is ready.
	defer os.RemoveAll(dir)
	if err := writeBootstrap(filepath.Join(dir, "bootstrap.json"), bootstrap); err != nil {
		return nil, err
	}
	return launch(ctx, binary, dir, o, log)
}

func launch(ctx context.Context, binary, dir string, o Options, log *logTail) (*Envoy, error) {
	adminFile := filepath.Join(dir, "admin-address")
	args := []string{
		"--config-path", filepath.Join(dir, "bootstrap.json"), "--admin-address-path", adminFile,
		"--disable-hot-restart", "--log-level", "warning",
	}
	if o.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(o.Concurrency))
	}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	proc, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start envoy: %w", err)
	}
	e := &Envoy{log: log, proc: proc}
	if err := e.awaitReady(ctx, adminFile); err != nil {
		return nil, fmt.Errorf("start envoy: %w\n%s", errors.Join(err, e.Stop()), log)
	}
	return e, nil
}

// portIsFree asks before Envoy does: two Envoys of one user share a taken port
// without a word (SO_REUSEPORT), and half of the requests go to the other one.
func portIsFree(listen string) error {
	probe, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("start envoy: %w", err)
	}
	return probe.Close()
}

// Run is Start for tests: a failure to start is fatal, Envoy is stopped when the
// test ends, and a failed test shows its log.
func Run(t testing.TB, o Options) *Envoy {
	t.Helper()
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Errorf("stop envoy: %v", err)
		}
		if t.Failed() {
			t.Logf("envoy's log:\n%s", e.log)
		}
	})
	return e
}

// Addr is the "IP:port" Envoy listens on.
func (e *Envoy) Addr() string { return e.addr }

// Done is closed when the process has ended, by Stop or by itself.
func (e *Envoy) Done() <-chan struct{} { return e.proc.Done() }

// Stop ends the process and waits for it: SIGTERM, and after five seconds
// SIGKILL. The error is the exit of a process that ended badly. Calling it again
// only returns the same.
func (e *Envoy) Stop() error { return e.proc.Stop(stopGrace) }
