package store

import "container/heap"

// dueQueue is a heap by due time.
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

// dueFront is the places of a dueQueue whose parents have been seen, a heap by
// the same order.
type dueFront struct {
	queue dueQueue
	at    []int
}

func (f *dueFront) add(at int) {
	if at < len(f.queue) {
		heap.Push(f, at)
	}
}

func (f *dueFront) Len() int           { return len(f.at) }
func (f *dueFront) Less(i, j int) bool { return f.queue.Less(f.at[i], f.at[j]) }
func (f *dueFront) Swap(i, j int)      { f.at[i], f.at[j] = f.at[j], f.at[i] }
func (f *dueFront) Push(v any)         { f.at = append(f.at, v.(int)) }
func (f *dueFront) Pop() any {
	last := len(f.at) - 1
	at := f.at[last]
	f.at = f.at[:last]
	return at
}
