package providers

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// gate is the way to a provider. It has the provider's public address before the
// provider has started, and makes it as far away as real ones are: bytes arrive
// late in both directions, and so does the end of a connection.
type gate struct {
	listener net.Listener
	late     time.Duration
	to       atomic.Pointer[string]
	running  sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func newGate(late time.Duration) (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{listener: l, late: late, open: make(map[net.Conn]bool)}
	g.running.Go(g.accept)
	return g, nil
}

func (g *gate) url() string { return "http://" + g.listener.Addr().String() }

// leadTo says where the provider really listens; until then nobody gets through.
func (g *gate) leadTo(address string) { g.to.Store(&address) }

func (g *gate) accept() {
	for {
		from, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.running.Go(func() { g.carry(from) })
	}
}

func (g *gate) carry(from net.Conn) {
	defer from.Close()
	address := g.to.Load()
	if address == nil || !g.keep(from) {
		return
	}
	defer g.drop(from)
	to, err := net.Dial("tcp", *address)
	if err != nil {
		return
	}
	defer to.Close()
	if !g.keep(to) {
		return
	}
	defer g.drop(to)
	var back sync.WaitGroup
	back.Go(func() { g.copy(from, to) })
	g.copy(to, from)
	back.Wait()
}

// copy carries bytes, each as late as the others, until there are no more.
func (g *gate) copy(to, from net.Conn) {
	type chunk struct {
		due   time.Time
		bytes []byte
	}
	way := make(chan chunk, 64)
	var arrival sync.WaitGroup
	arrival.Go(func() {
		for c := range way {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.bytes); err != nil {
				_ = from.Close() // nobody is there to read the rest
			}
		}
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		due := time.Now().Add(g.late)
		if n > 0 {
			way <- chunk{due, append([]byte(nil), buf[:n]...)}
		}
		if err == nil {
			continue
		}
		close(way)
		arrival.Wait()
		time.Sleep(time.Until(due))
		if half, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
			_ = half.CloseWrite()
		} else {
			_ = to.Close()
		}
		return
	}
}

func (g *gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.open[c] = true
	}
	return !g.closed
}

func (g *gate) drop(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}

// close ends what is on its way, and waits for it.
func (g *gate) close() {
	_ = g.listener.Close()
	g.mu.Lock()
	g.closed = true
	for c := range g.open {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.running.Wait()
}
