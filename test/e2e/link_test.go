package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// link carries Envoy's connections to lamplighter over a socket of its own, so
// that a test can cut them and lead them elsewhere.
type link struct {
	mu       sync.Mutex
	to       string // path of the socket behind it
	live     map[net.Conn]struct{}
	accepted int
	sent     int // bytes towards lamplighter on the newest connection
	running  sync.WaitGroup
}

// newLink listens at the socket path at and connects to the one at to.
func newLink(t *testing.T, at, to string) *link {
	t.Helper()
	listener, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{to: to, live: make(map[net.Conn]struct{})}
	l.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.carry(conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		l.running.Wait()
	})
	return l
}

func (l *link) carry(envoy net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lamplighter, err := net.Dial("unix", l.to)
	if err != nil {
		_ = envoy.Close()
		return
	}
	l.accepted++
	l.sent = 0
	number := l.accepted
	l.live[envoy], l.live[lamplighter] = struct{}{}, struct{}{}
	pass := func(to, from net.Conn, count bool) {
		defer l.drop(envoy, lamplighter)
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if count {
				l.count(number, n)
			}
			if err != nil {
				return
			}
		}
	}
	l.running.Go(func() { pass(lamplighter, envoy, true) })
	l.running.Go(func() { pass(envoy, lamplighter, false) })
}

func (l *link) count(number, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == l.accepted {
		l.sent += n
	}
}

func (l *link) drop(conns ...io.Closer) {
	for _, c := range conns {
		_ = c.Close()
		l.mu.Lock()
		delete(l.live, c.(net.Conn))
		l.mu.Unlock()
	}
}

// cut ends every connection.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.live {
		_ = c.Close()
	}
}

// lead cuts, and connects to the socket at to from now on.
func (l *link) lead(to string) {
	l.mu.Lock()
	l.to = to
	l.mu.Unlock()
	l.cut()
}

// newest is how many connections there have been, and how many bytes the last of
// them has brought to lamplighter.
func (l *link) newest() (number, sent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, l.sent
}

// socket is a short path: a socket's has a limit of 107 bytes.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "link-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "check.sock")
}
