package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/stack"
)

const startWithin = 10 * time.Second

// Server is one redis-server on loopback.
type Server struct {
	Addr string
	proc *child.Process
	log  *logbook.Book
}

// errNotThere asks for the one thing that helps.
var errNotThere = errors.New("install redis-server (Debian: apt-get install redis-server), or put one on PATH")

// Start runs a redis-server that keeps nothing on disk; args are added to its
// command line. It ends with the test.
func Start(t testing.TB, args ...string) *Server {
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
	port := stack.FreePort(t)
	args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--logfile", "",
	}, args...)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), log: new(logbook.Book)}
	cmd := exec.Command(path, args...)
	cmd.Dir = filepath.Clean(dir)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if s.proc, err = child.Start(cmd); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.proc.Stop(5 * time.Second); err != nil {
			t.Logf("stop redis-server: %v", err)
		}
		if t.Failed() {
			t.Logf("redis-server's log:\n%s", s.log)
		}
	})
	if err := s.await(); err != nil {
		t.Fatal(err)
	}
	return s
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
