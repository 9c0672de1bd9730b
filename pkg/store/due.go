package store

import (
	"container/heap"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// DueIndex orders sessions by when the sweep should look at them, in memory. It
// is not safe for concurrent use: the backend's own lock guards it. The zero
// value is empty.
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

// Due is Index.Due.
func (x *DueIndex) Due(before, usedSince time.Time, limit int) (page []DueEntry, next time.Time) {
	var back []*dueItem
	for len(x.queue) > 0 && len(page) < limit && !x.queue[0].DueAt.After(before) {
		it := x.queue[0]
		x.park(it)
		if it.used.Before(usedSince) || it.Late(before) {
			continue // stays parked
		}
		page = append(page, it.DueEntry)
		back = append(back, it)
	}
	if len(x.queue) > 0 {
		next = x.queue[0].DueAt
	}
	for _, it := range back {
		heap.Push(&x.queue, it)
	}
	return page, next
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

type dueQueue []*dueItem

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].DueAt.Before(q[j].DueAt) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].pos, q[j].pos = i, j
}
func (q *dueQueue) Push(v any) {
	it := v.(*dueItem)
	it.pos = len(*q)
	*q = append(*q, it)
}
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	it.pos = -1
	return it
}
