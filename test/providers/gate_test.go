package providers

import (
	"io"
	"net"
	"testing"
	"time"
)

// dial goes through the gate to what answers there.
func dial(t *testing.T, g *gate, answer func(net.Conn)) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	g.leadTo(l.Addr().String())
	c, err := net.Dial("tcp", g.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); defer there.Close(); answer(there) }()
	t.Cleanup(func() { <-done })
	return c
}

// What goes through arrives whole and late, and so does the end.
func TestGate(t *testing.T) {
	t.Parallel()
	const away = 30 * time.Millisecond
	g, err := newGate(away)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	c := dial(t, g, func(there net.Conn) {
		said, _ := io.ReadAll(there)
		_, _ = there.Write(append(said, " back"...))
	})
	began := time.Now()
	if _, err := c.Write([]byte("there and")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	heard, err := io.ReadAll(c)
	if err != nil || string(heard) != "there and back" {
		t.Errorf("%q, %v", heard, err)
	}
	if took := time.Since(began); took < 2*away {
		t.Errorf("there and back in %v, want at least %v", took, 2*away)
	}
}

// Closing waits for nobody, also when both ends keep still.
func TestGateCloses(t *testing.T) {
	t.Parallel()
	g, err := newGate(0)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, g, func(there net.Conn) { _, _ = io.Copy(io.Discard, there) })
	g.close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}
