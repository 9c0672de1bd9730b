package rp

import (
	"log/slog"
	"sync"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// clientSecret is the client's secret, read again once the OP has refused it:
// the file may have been rotated.
type clientSecret struct {
	read func() (session.Secret, error) // nil: a public client

	mu      sync.Mutex
	current session.Secret
	stale   bool
}

func (c *clientSecret) get(log *slog.Logger) session.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stale || c.read == nil {
		return c.current
	}
	fresh, err := c.read()
	if err != nil { // the old one may be right again after the OP's side was put right
		log.Warn("client secret cannot be read again, the old one is kept", "error", err)
		return c.current
	}
	c.current, c.stale = fresh, false
	return c.current
}

func (c *clientSecret) distrust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}
