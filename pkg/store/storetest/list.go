package storetest

import (
	"slices"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func listChecks() []check {
	return []check{
		{"List/every session and tombstone once, page by page", listAll},
		{"List/what is there all along is listed once, whatever comes and goes", listMoving},
		{"List/survives a restart", listRestart},
	}
}

// list goes through the store by pages of limit. between is called after each page
// with what has been listed by then.
func (p *probe) list(limit int, between func(listed []session.ID)) (all []session.ID) {
	p.Helper()
	var after store.Cursor
	for {
		ids, next, err := p.s.List(p.ctx, after, limit)
		p.ok("List", err)
		if len(ids) > limit {
			p.Errorf("List with limit %d lists %d", limit, len(ids))
		}
		all = append(all, ids...)
		if next == "" {
			return all
		}
		if len(all) > 1000 {
			p.Fatalf("List comes to no end")
		}
		if after = next; between != nil {
			between(all)
		}
	}
}

// crowd brings n sessions, of which every third has ended. Some end at one instant.
func (p *probe) crowd(n int) (all []session.ID) {
	p.Helper()
	first := newSession()
	for i := range n {
		s := p.create(func(s *session.Session) {
			if i%2 == 0 {
				s.ID[0], s.EndsAt = first.ID[0], first.EndsAt
			}
		})
		if i%3 == 0 {
			p.end(s.ID, session.ReasonLogout)
		}
		all = append(all, s.ID)
	}
	return sorted(all...)
}

func listAll(p *probe) {
	p.same("List of an empty store", p.list(3, nil), []session.ID(nil))
	want := p.crowd(25)
	for _, limit := range []int{1, 3, 24, 25, 26, 100} {
		p.same("List", sorted(p.list(limit, nil)...), want)
	}
}

func listMoving(p *probe) {
	want := p.crowd(25)
	gone := p.create(func(s *session.Session) { s.EndsAt = p.from(1) })
	p.end(gone.ID, session.ReasonLogout)
	var came []session.ID
	got := p.list(4, func(listed []session.ID) {
		for range 2 { // both before what has been listed, in the order of ids; one is listed there no more
			came = append(came, p.create(func(s *session.Session) { s.ID[0], s.ID[1] = 0, 0 }).ID)
		}
		last := listed[len(listed)-1]
		if _, err := p.s.Get(p.ctx, last); err == nil { // the place to go on from moves to the tombstones
			p.end(last, session.ReasonIdle)
		}
		p.reap(gone.EndsAt, gone.CreatedAt, 10)
	})
	got = slices.DeleteFunc(got, func(id session.ID) bool { return id == gone.ID || slices.Contains(came, id) })
	p.same("List of what was there all along", sorted(got...), want)
}

func listRestart(p *probe) {
	want := p.crowd(10)
	p.restart()
	p.same("List after a restart", sorted(p.list(4, nil)...), want)
}
