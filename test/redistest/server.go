package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/stack"
)

// startWithin is patience with a busy machine, and no fact about a server.
const startWithin = 30 * time.Second

// Server is one redis-server on loopback.
type Server struct {
	Addr string
	path string
	args []string
	dir  string
	cli  []string // further arguments of redis-cli
	proc *child.Process
	log  *logbook.Book
}

// errNotThere asks for the one thing that helps.
var errNotThere = errors.New("install redis-server (Debian: apt-get install redis-server), or put one on PATH")

// Start runs a redis-server that keeps nothing on disk, but for what SAVE writes;
// args are added to its command line. It ends with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	port := stack.FreePort(t)
	return start(t, port, append([]string{"--port", port, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}, args...)...)
}

// start runs a redis-server that listens at port.
func start(t testing.TB, port string, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(errors.Join(errNotThere, err))
	}
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{
		Addr: net.JoinHostPort("127.0.0.1", port), path: path, dir: dir, log: new(logbook.Book),
		args: append(args, "--bind", "127.0.0.1", "--dir", dir, "--logfile", ""),
	}
	s.launch(t)
	t.Cleanup(func() {
		s.Signal(syscall.SIGCONT) // one that a test has stopped ends too
		if err := s.proc.Stop(5 * time.Second); err != nil {
			t.Logf("stop redis-server: %v", err)
		}
		if t.Failed() {
			t.Logf("redis-server's log:\n%s", s.log)
		}
	})
	return s
}

func (s *Server) launch(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s.path, s.args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = s.log, s.log
	var err error
	if s.proc, err = child.Start(cmd); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	if err := s.await(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) await() error {
	for deadline := time.Now().Add(startWithin); ; {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("redis-server ended: %w\n%s", s.proc.Wait(), s.log)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server does not listen after %v: %w\n%s", startWithin, err, s.log)
		}
	}
}

// Signal sends s to the process.
func (s *Server) Signal(sig syscall.Signal) { _ = s.proc.Signal(sig) }

// Kill is kill -9, and waits for the end.
func (s *Server) Kill() {
	s.Signal(syscall.SIGKILL)
	_ = s.proc.Wait()
}

// Restart launches the server again after its end: with what the last SAVE has
// written, else empty.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.launch(t)
}
