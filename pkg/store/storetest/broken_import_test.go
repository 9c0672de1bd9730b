package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func brokenList() []broken {
	const once, moving, restart = "List/every session and tombstone once, page by page",
		"List/what is there all along is listed once, whatever comes and goes", "List/survives a restart"
	return []broken{
		{"List knows no limit", flaw{method: "List", before: func(_ *flawed, c *call) { c.limit = 1000 }}, []string{once}},
		{"List begins each page with the last of the one before", flaw{method: "List", before: func(_ *flawed, c *call) {
			if n := len(c.after); n > 0 {
				c.after = c.after[:n-1]
			}
		}}, []string{once}},
		{"List leaves out the ended", flaw{method: "List", after: func(f *flawed, c *call) {
			var live []session.ID
			for _, id := range c.ids {
				if _, err := f.mem.Get(context.Background(), id); err == nil {
					live = append(live, id)
				}
			}
			c.ids = live
		}}, []string{once, moving, restart}},
		{"List goes on by number", flaw{method: "List", before: func(f *flawed, c *call) {
			first := max(f.kept.limit, 0)
			if c.after == "" {
				first = 0
			}
			ids, _, _ := f.mem.List(c.ctx, "", first+c.limit)
			if c.ids = ids[min(first, len(ids)):]; len(c.ids) == c.limit {
				c.more = "more"
			}
			f.kept.limit = first + len(c.ids)
			c.answer(nil)
		}}, []string{moving}},
		{"List is empty after a restart", flaw{method: "List", after: func(f *flawed, c *call) {
			if f.restarted {
				c.ids, c.more = nil, ""
			}
		}}, []string{restart}},
	}
}

// importing changes what Import is given.
func importing(change func(*store.Record)) flaw {
	return flaw{method: "Import", before: func(_ *flawed, c *call) { change(&c.r) }}
}

// importingOver changes what Import is given over what is there.
func importingOver(change func(*store.Record, store.Record)) flaw {
	return flaw{method: "Import", before: func(f *flawed, c *call) {
		if there := f.record(c.id); there.Session.Revision != 0 {
			change(&c.r, there)
		}
	}}
}

func brokenImport() []broken {
	const keeps, open, indexed = "Import/keeps every field of a Record", "Import/an open attempt becomes one in doubt until its ReplayAt",
		"Import/is found as what was created here"
	all := []broken{
		{"Import answers before it is durable", flaw{method: "Import", before: forget}, []string{keeps, indexed}},
		{"Import makes up a SweepAt", importing(func(r *store.Record) { r.Session.SweepAt = session.Later(r.Session.SweepAt, r.Used) }), []string{"Import/keeps absent what is absent"}},
		{"Import forgets an open attempt", importing(func(r *store.Record) { r.Attempt = nil }), []string{open}},
		{"Import asks at once for what is in doubt", importing(func(r *store.Record) { r.ReplayAt = r.ReplayAt.Add(-time.Hour) }), []string{keeps, open}},
		{"Import takes the plan for what is due", importing(func(r *store.Record) { r.DueAt = r.Session.SweepAt }), []string{keeps, indexed}},
		{"Import lists under nobody", importing(func(r *store.Record) { r.Session.Identity.Subject = "" }), []string{indexed}},
	}
	t := reflect.TypeFor[store.Record]()
	for _, path := range fields(t) {
		name := t.FieldByIndex(path).Name
		if path[0] == 0 || name == "Attempt" { // Create's, and there is none
			continue
		}
		all = append(all, broken{
			fmt.Sprintf("Import forgets field %v, %s", path, name),
			importing(func(r *store.Record) { reflect.ValueOf(r).Elem().FieldByIndex(path).SetZero() }), []string{keeps},
		})
	}
	return all
}

func brokenImportOver() []broken {
	const newer, older, tomb = "Import/over the same or a newer one is ErrExists",
		"Import/over an older one replaces it, and keeps the later use", "Import/over a tombstone is ErrEnded"
	return []broken{
		{"Import replaces what is newer", importingOver(func(r *store.Record, there store.Record) {
			r.Session.Revision = max(r.Session.Revision, there.Session.Revision+1)
		}), []string{newer}},
		{"Import looks at attempts alone", importingOver(func(r *store.Record, there store.Record) {
			if r.Fence > there.Fence {
				r.Session.Revision = max(r.Session.Revision, there.Session.Revision)
			}
		}), []string{newer}},
		{"Import does not look at attempts", importingOver(func(r *store.Record, there store.Record) {
			if r.Session.Revision == there.Session.Revision {
				r.Fence = 0
			}
		}), []string{older}},
		{"Import answers nil for what it leaves", flaw{method: "Import", after: func(_ *flawed, c *call) { c.err = nil }}, []string{newer, tomb}},
		{"Import replaces nothing", flaw{method: "Import", before: func(f *flawed, c *call) {
			if f.record(c.id).Session.Revision != 0 {
				c.answer(nil)
			}
		}}, []string{older}},
		{"Import takes a tombstone for the same", flaw{method: "Import", after: func(_ *flawed, c *call) {
			if errors.Is(c.err, session.ErrEnded) {
				c.err = session.ErrExists
			}
		}}, []string{tomb}},
		{"Import takes the last use as it comes", flaw{after: func(f *flawed, c *call) {
			if used := c.r.Used; c.method == "Import" {
				f.lie = func(r *store.Record) { r.Used = used }
			}
		}}, []string{older}},
	}
}

func brokenBury() []broken {
	const leaves, live, twice = "Bury/leaves the tombstone until its end", "Bury/ends what lives here",
		"Bury/of what has ended is ErrEnded, and the first reason stays"
	return []broken{
		{"Bury leaves nothing", flaw{method: "Bury", before: func(_ *flawed, c *call) { c.answer(nil) }}, []string{leaves, live}},
		{"Bury answers before it is durable", flaw{method: "Bury", before: forget}, []string{leaves}},
		{"Bury tells its own time", flaw{method: "Bury", before: func(_ *flawed, c *call) { c.tomb.At = time.Now() }}, []string{leaves, twice}},
		{"Bury forgets the history", flaw{method: "Bury", before: func(_ *flawed, c *call) { c.tomb.History = nil }}, []string{leaves}},
		{"Bury leaves it for ever", flaw{method: "Bury", before: func(_ *flawed, c *call) { c.tomb.Until = c.tomb.Until.Add(time.Hour) }}, []string{leaves}},
		{"Bury spares what lives here", flaw{method: "Bury", before: func(f *flawed, c *call) {
			if f.record(c.id).Session.Revision != 0 {
				c.answer(nil)
			}
		}}, []string{live}},
		{"Bury twice is nil", flaw{method: "Bury", after: func(_ *flawed, c *call) { c.err = nil }}, []string{twice}},
	}
}
