package redisstore

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// At is s on another clock than the server's.
func (s *Store) At(now func() time.Time) *Store {
	s.now = now
	return s
}

// Prefix is that of every key of s.
func (s *Store) Prefix() string { return s.prefix }

// Key is the session's.
func (s *Store) Key(id session.ID) string { return s.key(id) }
