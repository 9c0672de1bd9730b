//go:build crash

package crash

import (
	"io"
	"net"
	"sync"
)

// moment is when a wire strikes.
type moment int

const (
	never    moment = iota
	arrived         // a request has arrived, and nobody has read it; it is lost
	read            // the same, but the provider reads it, of a process that is dead by then
	answered        // the answer is on its way, all of it
)

// wire is the provider's end of the network. Once armed it strikes at the next
// moment of its kind.
type wire struct {
	mu     sync.Mutex
	at     moment
	strike func()
}

func (w *wire) arm(at moment, strike func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.strike = at, strike
}

func (w *wire) armed() moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// hit strikes if it is at's turn, once.
func (w *wire) hit(at moment) bool {
	w.mu.Lock()
	strike := w.strike
	ok := w.at == at && at != never
	if ok {
		w.at, w.strike = never, nil
	}
	w.mu.Unlock()
	if ok {
		strike()
	}
	return ok
}

func (w *wire) listen(l net.Listener) net.Listener { return listener{l, w} }

type listener struct {
	net.Listener
	wire *wire
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, wire: l.wire}, nil
}

// conn is one connection of the provider's. Its server reads and writes it in
// turn, but from different goroutines.
type conn struct {
	net.Conn
	wire *wire

	mu    sync.Mutex
	asked bool // a request has come in since the wire was armed
}

// Read hands on what has arrived. The first bytes of a request are the sign of
// it: a client writes a form of this size in one piece.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n == 0 {
		return n, err
	}
	if c.wire.hit(arrived) {
		_ = c.Close()
		return 0, io.EOF
	}
	c.wire.hit(read)
	if c.wire.armed() == answered {
		c.mu.Lock()
		c.asked = true
		c.mu.Unlock()
	}
	return n, err
}

// Write strikes after the answer, which net/http writes in one piece as long as
// it is small.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mu.Lock()
	asked := c.asked
	c.asked = false
	c.mu.Unlock()
	if asked {
		c.wire.hit(answered)
	}
	return n, err
}
