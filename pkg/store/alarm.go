package store

import (
	"log/slog"
	"sync"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Alarm tells operators of records that cannot be read, of each session once: its
// browser asks again and again. It is safe for concurrent use.
type Alarm struct {
	log  *slog.Logger
	mu   sync.Mutex
	told map[session.ID]bool
}

// NewAlarm returns one that writes to log.
func NewAlarm(log *slog.Logger) *Alarm {
	return &Alarm{log: log, told: make(map[session.ID]bool)}
}

// Unreadable tells of the record of id, and why.
func (a *Alarm) Unreadable(id session.ID, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.told[id] {
		a.told[id] = true
		a.log.Error("session record cannot be read", "session", id, "error", err)
	}
}
