package stack

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/race"
)

const (
	startWithin = 20 * time.Second
	stopWithin  = 20 * time.Second
)

// The binaries are built once a test process, into the checkout's bin/. The one
// with the race detector writes what it finds to the log.
var (
	raceBinary  = sync.OnceValues(func() (string, error) { return build("lamplighter-race", "-race") })
	plainBinary = sync.OnceValues(func() (string, error) { return build("lamplighter") })
	crashBinary = sync.OnceValues(func() (string, error) { return build("lamplighter-crash", "-tags", "crash") })
)

// binaryOf is the one that the options ask for; without a word, it is built as the
// test is: the race detector watches both or neither.
func binaryOf(o Options) func() (string, error) {
	switch {
	case o.CrashPoints:
		return crashBinary
	case o.Plain || !race.Enabled:
		return plainBinary
	}
	return raceBinary
}

func build(name string, flags ...string) (string, error) {
	root, err := installed.Checkout()
	if err != nil {
		return "", err
	}
	if err := DependOn(root); err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	mine := fmt.Sprintf("%s.%d", path, os.Getpid()) // packages are tested side by side
	args := slices.Concat([]string{"build"}, flags, []string{"-o", mine, "github.com/lamplighter/lamplighter/cmd/lamplighter"})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lamplighter: %w\n%s", err, out)
	}
	return path, os.Rename(mine, path)
}

// DependOn looks at all sources of the product, below the root of the checkout.
// The go command notes the look: without it a test that runs the product as a
// process would show an old result, from the cache, after a change.
func DependOn(root string) error {
	for _, dir := range []string{"cmd", "pkg", "envoy"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return fmt.Errorf("look at the sources: %w", err)
		}
	}
	return nil
}

// Lamplighter is the product's process, to be started and stopped by a test.
type Lamplighter struct {
	t      testing.TB
	config string
	env    []string
	binary func() (string, error)
	// FileLimit is the largest file in bytes that the next process may write
	// (RLIMIT_FSIZE); 0: no limit.
	FileLimit int
	// UID is who the next process runs as; 0: whoever runs the test.
	UID uint32
	// Args are added to those of the next process.
	Args []string
	// Root, if set, is the folder that the next process takes for /, as UID: a
	// container's, whose Program runs with no environment but that of NewLamplighter.
	// The config is named as the process sees it.
	Root, Program string
	log           *log
	proc          *child.Process
	// Admin is the address of the admin listener, once started.
	Admin string
}

// NewLamplighter prepares a process; nothing runs yet.
func (s *Stack) NewLamplighter(t testing.TB, config string, env []string) *Lamplighter {
	t.Helper()
	l := &Lamplighter{t: t, config: config, env: env, binary: binaryOf(Options{}), log: &log{}}
	t.Cleanup(func() {
		if l.Running() {
			if err := l.Terminate(); err != nil {
				t.Errorf("stop lamplighter: %v", err)
			}
		}
		if t.Failed() {
			t.Logf("lamplighter's log, the end of it:\n%s", tail(l.Log()))
		}
		if strings.Contains(l.Log(), "DATA RACE") {
			t.Errorf("lamplighter has a data race:\n%s", l.log)
		}
	})
	return l
}

// tail is what a person can read of a log.
func tail(log string) string {
	const most = 64 << 10
	return log[max(0, len(log)-most):]
}

// Binary is the program that the process runs.
func (l *Lamplighter) Binary() string {
	l.t.Helper()
	path, err := l.binary()
	if err != nil {
		l.t.Fatal(err)
	}
	return path
}

// Launch starts the process and does not wait for it.
func (l *Lamplighter) Launch() {
	l.t.Helper()
	path := l.program()
	args := append([]string{"serve", "--config", l.config}, l.Args...)
	cmd := exec.Command(path, args...)
	if l.FileLimit > 0 {
		const block = 512 // of POSIX ulimit -f
		limited := []string{"-c", fmt.Sprintf(`ulimit -f %d && exec "$@"`, l.FileLimit/block), "sh", path}
		cmd = exec.Command("sh", append(limited, args...)...)
	}
	if l.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: l.UID, Gid: l.UID}}
	}
	cmd.Env = append(os.Environ(), l.env...)
	if l.Root != "" {
		cmd.SysProcAttr.Chroot, cmd.Dir, cmd.Env = l.Root, "/", l.env
	}
	l.log.begin()
	cmd.Stderr, cmd.Stdout = l.log, l.log
	var err error
	if l.proc, err = child.Start(cmd); err != nil {
		l.t.Fatalf("start lamplighter: %v", err)
	}
}

// program is the binary's path, as the process can reach it.
func (l *Lamplighter) program() string {
	l.t.Helper()
	if l.Root != "" {
		return l.Program
	}
	path := l.Binary()
	if l.UID != 0 { // who may not reach the checkout
		var err error
		if path, err = copyTo(filepath.Dir(l.config), path); err != nil {
			l.t.Fatal(err)
		}
	}
	return path
}

// copyTo leaves the writing to another program: a file that this process has open to
// write may be inherited by a child that starts just then, and cannot be run meanwhile.
func copyTo(dir, path string) (string, error) {
	to := filepath.Join(dir, filepath.Base(path))
	if out, err := exec.Command("install", "-m", "0755", path, to).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy %s: %w: %s", path, err, out)
	}
	return to, nil
}

// Start launches the process and waits until it is ready.
func (l *Lamplighter) Start() {
	l.t.Helper()
	l.Listening()
	l.Until("ready", func() bool {
		code, _, err := l.Get("/readyz")
		return err == nil && code == http.StatusOK
	})
}

// Listening launches the process and waits until it listens, ready or not.
func (l *Lamplighter) Listening() {
	l.t.Helper()
	l.Launch()
	l.Until("listening", func() bool {
		l.Admin = l.log.field("listening", "admin")
		return l.Admin != ""
	})
}

// Until waits for a condition while the process runs.
func (l *Lamplighter) Until(what string, ok func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(startWithin)
	for !ok() {
		select {
		case <-l.proc.Done():
			l.t.Fatalf("lamplighter ended before it was %s: %v\n%s", what, l.proc.Wait(), l.log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("lamplighter is not %s after %v\n%s", what, startWithin, l.log)
		}
	}
}

// Get asks the admin listener.
func (l *Lamplighter) Get(path string) (code int, body string, err error) {
	resp, err := http.Get("http://" + l.Admin + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// Metric is the value of a metric line, "name" or `name{label="x"}`; 0 if absent.
func (l *Lamplighter) Metric(series string) float64 {
	l.t.Helper()
	_, body, err := l.Get("/metrics")
	if err != nil {
		l.t.Fatalf("read metrics: %v", err)
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			var f float64
			if _, err := fmt.Sscan(value, &f); err != nil {
				l.t.Fatalf("metric %s: %v", series, err)
			}
			return f
		}
	}
	return 0
}

// Pid of the process that runs now.
func (l *Lamplighter) Pid() int { return l.proc.Pid() }

// Done is closed when the process that runs now has ended.
func (l *Lamplighter) Done() <-chan struct{} { return l.proc.Done() }

// Kill is kill -9, and waits for the end. Whoever sees the end may start another
// process meanwhile.
func (l *Lamplighter) Kill() {
	proc := l.proc
	_ = proc.Signal(syscall.SIGKILL)
	_ = proc.Wait()
}

// Terminate is SIGTERM; it returns how the process ended.
func (l *Lamplighter) Terminate() error { return l.proc.Stop(stopWithin) }

// Signal sends s.
func (l *Lamplighter) Signal(s syscall.Signal) { _ = l.proc.Signal(s) }

// Fails launches a process that is expected to end by itself, and returns its
// exit code and what it wrote.
func (l *Lamplighter) Fails() (code int, output string) {
	l.t.Helper()
	l.Launch()
	select {
	case <-l.proc.Done():
	case <-time.After(startWithin):
		l.t.Fatalf("lamplighter still runs after %v\n%s", startWithin, l.log)
	}
	return l.Wait(), l.log.newest()
}

// Wait returns the exit code.
func (l *Lamplighter) Wait() int {
	if err := l.proc.Wait(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return exit.ExitCode()
		}
		return -1
	}
	return 0
}

// Running tells whether the process lives.
func (l *Lamplighter) Running() bool {
	if l.proc == nil {
		return false
	}
	select {
	case <-l.proc.Done():
		return false
	default:
		return true
	}
}

// Log is everything the process has written since its last start, and before.
func (l *Lamplighter) Log() string { return l.log.String() }

// log keeps a process's output.
type log struct {
	logbook.Book
	since int // where the newest process began
}

func (l *log) begin() { l.since = len(l.String()) }

// newest is what the newest process has written.
func (l *log) newest() string { return l.String()[l.since:] }

// field finds a JSON line of the newest process by its message.
func (l *log) field(msg, key string) string {
	for line := range strings.Lines(l.newest()) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) == nil && e["msg"] == msg {
			v, _ := e[key].(string)
			return v
		}
	}
	return ""
}
