package app

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// answering tells who is met at a socket: each listener of these tests writes its name.
func answering(t *testing.T, path string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	name := make([]byte, 16)
	n, err := c.Read(name)
	if err != nil {
		return err.Error()
	}
	return string(name[:n])
}

func answer(t *testing.T, l net.Listener, name string) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(name))
			_ = c.Close()
		}
	}()
}

// Who takes over and cannot have all of its places leaves the other where it is.
func TestATakeOverThatFailsTakesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "check.sock")
	socket := place{"listen.check", "unix://" + path}
	old, err := binder{shared: true}.all([]place{socket})
	if err != nil {
		t.Fatal(err)
	}
	answer(t, old[0], "old")
	strange, err := net.Listen("tcp", "127.0.0.1:0") // of another program, which shares nothing
	if err != nil {
		t.Fatal(err)
	}
	defer strange.Close()

	taker := binder{shared: true, takeOver: true}
	taken := place{"listen.admin", strange.Addr().String()}
	if _, err := taker.all([]place{socket, taken}); err == nil || !strings.Contains(err.Error(), "another process has this port") {
		t.Fatalf("a port that is taken: %v", err)
	}
	if who := answering(t, path); who != "old" {
		t.Fatalf("after a take-over that failed, at the socket is: %s", who)
	}
	next, err := taker.all([]place{socket, {"listen.admin", "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	answer(t, next[0], "next")
	defer next[1].Close()
	if who := answering(t, path); who != "next" {
		t.Errorf("after a take-over, at the socket is: %s", who)
	}
}

// A process that lets others wait is there all the same; one that has ended is not.
func TestWhoDoesNotAcceptIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "check.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		var c net.Conn
		if c, err = net.Dial("unix", path); err == nil {
			defer c.Close()
		}
	}
	start := func() error {
		l, err := binder{shared: true}.all([]place{{"listen.check", "unix://" + path}})
		if err == nil {
			_ = l[0].Close()
		}
		return err
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "another process answers there") {
		t.Errorf("its queue is full: %v", err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Errorf("it has ended: %v", err)
	}
}

// Of several that take over at once each has bound what it says, and one is met.
func TestTakersAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "check.sock")
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			l, err := binder{shared: true, takeOver: true}.all([]place{{"listen.check", "unix://" + path}})
			if err != nil {
				t.Error(err)
				return
			}
			answer(t, l[0], "taker")
		})
	}
	all.Wait()
	if who := answering(t, path); who != "taker" {
		t.Errorf("at the socket is: %s", who)
	}
	if left, err := filepath.Glob(path + ".*"); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
