package redisstore

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// seenMost bounds a generation of revisions: 16 bytes each.
const seenMost = 1 << 20

// over is the revision that no session has, and that comes after all: its end.
const over session.Revision = math.MaxUint64

// revisions are the newest that this process has seen, made or been told of: a
// failover may bring an older one back. Two generations of bounded size: whoever is
// not asked for while a million others are is forgotten.
type revisions struct {
	mu       sync.Mutex
	new, old map[uint64]session.Revision
}

func short(id session.ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// saw notes a revision that the store has shown, or is asked to take.
func (r *revisions) saw(id session.ID, rev session.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := short(id)
	r.note(k, max(rev, r.new[k], r.old[k]))
}

// stored notes the revision that the store has taken, from this process or another.
// It may be older than one seen, and then that one is lost for good.
func (r *revisions) stored(id session.ID, rev session.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := short(id); max(r.new[k], r.old[k]) != over {
		r.note(k, rev)
	}
}

// ended notes the end of a session, which no failover undoes.
func (r *revisions) ended(id session.ID) { r.saw(id, over) }

func (r *revisions) note(k uint64, rev session.Revision) {
	if r.new == nil || len(r.new) >= seenMost {
		r.new, r.old = make(map[uint64]session.Revision), r.new
	}
	r.new[k] = rev
	delete(r.old, k)
}

// newest is the newest revision seen; 0 if none is remembered.
func (r *revisions) newest(id session.ID) session.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := short(id)
	return max(r.new[k], r.old[k])
}

// forget is for a session that the store has no more.
func (r *revisions) forget(id session.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.new, short(id))
	delete(r.old, short(id))
}
