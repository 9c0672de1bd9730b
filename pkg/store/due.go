package store

import (
	"container/heap"
	"runtime"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// DueIndex orders sessions by when the sweep should look at them, in memory. It
// is not safe for concurrent use: the backend's own lock guards it; Due takes it
// itself. The zero value is empty.
type DueIndex struct {
	queue dueQueue
	items map[session.ID]*dueItem // every live session, parked ones too
}

type dueItem struct {
	DueEntry
	used time.Time
	ends time.Time // absolute
	pos  int       // in queue; -1: parked
}

// Put sets where a record stands in the index. A parked session re-enters with a
// new revision only: nobody uses it because an attempt begins or fails.
func (x *DueIndex) Put(r Record) {
	x.put(DueEntry{ID: r.Session.ID, Revision: r.Session.Revision, DueAt: r.DueAt, Exp: r.Session.Token.Exp()}, r.Used, r.Session.EndsAt)
}

func (x *DueIndex) put(e DueEntry, used, ends time.Time) {
	if x.items == nil {
		x.items = make(map[session.ID]*dueItem)
	}
	it := x.items[e.ID]
	if it == nil {
		it = &dueItem{pos: -1}
		x.items[e.ID] = it
	}
	enters := it.pos >= 0 || it.Revision != e.Revision
	it.DueEntry = e
	it.used, it.ends = session.Later(it.used, used), ends
	if enters {
		x.enter(it)
	}
}

// Restore is Put for a record of which only the plain part has been read.
func (x *DueIndex) Restore(m Meta, used time.Time) {
	x.put(DueEntry{ID: m.ID, Revision: m.Revision, DueAt: m.DueAt, Exp: m.Exp}, session.Later(m.Used, used), m.EndsAt)
}

// Touch merges a use by max and re-enters a parked session.
func (x *DueIndex) Touch(id session.ID, used time.Time) {
	it := x.items[id]
	if it == nil || !used.After(it.used) {
		return
	}
	it.used = used
	if it.pos < 0 {
		x.enter(it)
	}
}

// Used is the last use of a session; zero if unknown.
func (x *DueIndex) Used(id session.ID) time.Time {
	if it := x.items[id]; it != nil {
		return it.used
	}
	return time.Time{}
}

// Delete forgets a session.
func (x *DueIndex) Delete(id session.ID) {
	if it := x.items[id]; it != nil {
		x.park(it)
		delete(x.items, id)
	}
}

// Over is the sessions of Index.Reap, in no order. Cost is O(sessions) in memory.
func (x *DueIndex) Over(now, unusedSince time.Time, limit int) (ids []session.ID) {
	for id, it := range x.items {
		if len(ids) == limit {
			break
		}
		if it.used.Before(unusedSince) || !now.Before(it.ends) {
			ids = append(ids, id)
		}
	}
	return ids
}

// leaveMost is how many entries leave in one hold of the lock: a millisecond or
// two. After a restart all of the night's idle sessions are overdue at once, and
// nine hundred thousand of them take more than a second.
const leaveMost = 1024

// Due is Index.Due under lock, which it lets go of between holds: what it leaves
// out keeps no other call waiting.
func (x *DueIndex) Due(lock sync.Locker, before, usedSince time.Time, limit int) (page []DueEntry, next time.Time) {
	for whole := false; !whole; {
		lock.Lock()
		page, next, whole = x.look(before, usedSince, limit)
		lock.Unlock()
		if !whole {
			runtime.Gosched() // or the one who waits would find the lock taken again
		}
	}
	return page, next
}

// look is Due but for what it leaves out beyond leaveMost: then it is not whole
// and to be repeated. It takes the entries in order without moving any, by way
// of the children of those it has seen, so that its cost is that of the page,
// however many more there are.
func (x *DueIndex) look(before, usedSince time.Time, limit int) (page []DueEntry, next time.Time, whole bool) {
	front := dueFront{queue: x.queue}
	front.add(0)
	var leave []*dueItem
	for len(front.at) > 0 && len(page) < limit && len(leave) < leaveMost {
		it := x.queue[front.at[0]]
		if it.DueAt.After(before) {
			break
		}
		at := heap.Pop(&front).(int)
		front.add(2*at + 1)
		front.add(2*at + 2)
		if it.used.Before(usedSince) || it.Late(before) {
			leave = append(leave, it)
		} else {
			page = append(page, it.DueEntry)
		}
	}
	if len(front.at) > 0 {
		next = x.queue[front.at[0]].DueAt
	}
	for _, it := range leave {
		x.park(it)
	}
	return page, next, len(leave) < leaveMost
}

func (x *DueIndex) enter(it *dueItem) {
	switch {
	case it.DueAt.IsZero():
		x.park(it)
	case it.pos < 0:
		heap.Push(&x.queue, it)
	default:
		heap.Fix(&x.queue, it.pos)
	}
}

func (x *DueIndex) park(it *dueItem) {
	if it.pos >= 0 {
		heap.Remove(&x.queue, it.pos)
	}
}
