package sessioncache

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

const endedShards = 16

// endedSet remembers ended sessions for as long as a stale entry of one could
// surface. Nearly always it is empty, and then a look costs one atomic load.
type endedSet struct {
	keep   time.Duration
	size   atomic.Int64
	shards [endedShards]endedShard
}

type endedShard struct {
	mu    sync.RWMutex
	until map[session.ID]time.Time
}

func (e *endedSet) add(id session.ID, now time.Time) {
	s := &e.shards[id[0]%endedShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = make(map[session.ID]time.Time)
	}
	before := len(s.until)
	maps.DeleteFunc(s.until, func(_ session.ID, until time.Time) bool { return now.After(until) })
	s.until[id] = now.Add(e.keep)
	e.size.Add(int64(len(s.until) - before))
}

func (e *endedSet) has(id session.ID) bool {
	if e.size.Load() == 0 {
		return false
	}
	s := &e.shards[id[0]%endedShards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.until[id]
	return ok
}
