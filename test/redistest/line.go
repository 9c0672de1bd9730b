package redistest

import (
	"net"
	"sync"
	"testing"
)

// Line is the way to a server, for partitions. While it is cut no byte passes, and
// nobody is told: connections stay half open, and new ones get no answer. Healed, it
// delivers what was sent meanwhile, as the network's retransmission does.
type Line struct {
	Addr     string
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	whole chan struct{} // closed while bytes pass
	over  bool
	conns map[net.Conn]bool
}

// NewLine leads to the server at to, and ends with the test.
func NewLine(t testing.TB, to string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{Addr: listener.Addr().String(), to: to, listener: listener, whole: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(l.whole)
	l.running.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Cut begins a partition.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = make(chan struct{})
}

// Heal ends it.
func (l *Line) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.whole)
}

// wait waits while the line is cut; false: it has ended.
func (l *Line) wait() bool {
	l.mu.Lock()
	whole := l.whole
	l.mu.Unlock()
	<-whole
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over
}

func (l *Line) accept() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(from) })
	}
}

func (l *Line) carry(from net.Conn) {
	defer from.Close()
	if !l.keep(from) || !l.wait() {
		return
	}
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.keep(to) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { l.copy(from, to) })
	l.copy(to, from)
	back.Wait()
}

// copy ends both directions when one has ended: Redis knows no half-closed ones.
func (l *Line) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !l.wait() {
			return
		}
		if _, lost := to.Write(buf[:n]); err != nil || lost != nil {
			return
		}
	}
}

func (l *Line) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
	return !l.over
}

func (l *Line) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.over = true
	select {
	case <-l.whole:
	default:
		close(l.whole)
	}
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.running.Wait()
}
