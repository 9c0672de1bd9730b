package redisstore

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// kind of trouble with the server.
type kind string

const (
	unreachable kind = "unreachable" // no answer, or none that helps
	unwritable  kind = "unwritable"  // no memory, no disk, no replicas, or not the primary
	deaf        kind = "deaf"        // what other replicas change is not heard
	uncopied    kind = "uncopied"    // no replica of the server has a write in time
)

// kinds are all, the worst first.
func kinds() []kind { return []kind{unreachable, unwritable, deaf, uncopied} }

// String is what operators are told.
func (k kind) String() string {
	switch k {
	case unreachable:
		return "store trouble: the server is not reached; sessions are served from memory for store.redis.max_stale, then 503; refreshes pause"
	case unwritable:
		return "store trouble: the server takes no writes; sessions are served, refreshes pause, logins get 503"
	case deaf:
		return "store trouble: what other replicas change is not heard; every request asks the server"
	default:
		return "store trouble: no replica of the server has a write in time; a failover would lose it"
	}
}

// kindOf is what an error of the server means, which is not that of a step.
func kindOf(err error) kind {
	refused, ok := rueidis.IsRedisErr(err)
	if !ok {
		return unreachable
	}
	code, _, _ := strings.Cut(refused.Error(), " ")
	if slices.Contains([]string{"OOM", "READONLY", "NOREPLICAS", "MISCONF"}, code) {
		return unwritable
	}
	return unreachable
}

// calm is how long a trouble must not show to be over: one that comes and goes is
// told of once.
const calm = 3 * time.Second

// troubles is what the server's state is known to be. It tells of a change once,
// however many callers meet it.
type troubles struct {
	log     *slog.Logger
	metrics *Metrics

	mu sync.Mutex
	of map[kind]trouble
}

type trouble struct{ since, last time.Time }

// met notes that k shows.
func (t *troubles) met(k kind, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	was, on := t.of[k]
	if !on {
		was.since = now
		t.metrics.trouble.WithLabelValues(string(k)).Set(1)
		t.log.Warn(k.String(), "kind", string(k), "error", err)
	}
	was.last = now
	t.of[k] = was
}

// ease ends what has not shown for a while. It is called once a beat.
func (t *troubles) ease() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, was := range t.of {
		if time.Since(was.last) >= calm {
			delete(t.of, k)
			t.metrics.trouble.WithLabelValues(string(k)).Set(0)
			t.log.Info("store trouble is over", "kind", string(k), "lasted", was.last.Sub(was.since))
		}
	}
}

// Trouble is why the store does not do all it should, in the words of the log;
// empty: it does.
func (s *Store) Trouble() string {
	s.troubles.mu.Lock()
	defer s.troubles.mu.Unlock()
	for _, k := range kinds() {
		if _, on := s.troubles.of[k]; on {
			return k.String()
		}
	}
	return ""
}
