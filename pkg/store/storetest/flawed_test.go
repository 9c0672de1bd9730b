package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
)

// flaw is how a store is broken: before may change the arguments of a call or
// answer it, after may change the results.
type flaw struct {
	method        string // of the two interfaces; empty: every one
	before, after func(*flawed, *call)
}

// call is one call of any method: arguments, then results.
type call struct {
	method   string
	ctx      context.Context
	id       session.ID
	ses      session.Session
	rev      session.Revision
	in       store.Intent
	a        store.Attempt
	failure  session.Failure
	why      session.Reason
	only     store.Cond
	at       time.Time // before, or now
	since    time.Time
	limit    int
	used     map[session.ID]time.Time
	key      session.SubjectKey
	prefix   []byte
	tomb     store.Tombstone
	after    store.Cursor
	answered bool         // by before: the store is not asked
	seen     store.Record // by before

	r    store.Record // Import's too, which is given it
	open store.Attempt
	last session.Session
	page []store.DueEntry
	next time.Time
	ids  []session.ID
	more store.Cursor
	err  error
}

// answer makes a flaw answer in place of the store.
func (c *call) answer(err error) { c.err, c.answered = err, true }

// flawed is memstore with a flaw.
type flawed struct {
	mem       *memstore.Store
	flaws     []flaw
	restarted bool
	stale     *memstore.Store     // what a restart finds, if not the latest
	kept      call                // whatever a flaw wants to remember
	lie       func(*store.Record) // what a flaw lets Get show from now on
}

func flawedBackend(flaws ...flaw) Backend {
	return Backend{
		Open: func(testing.TB) Full { return &flawed{mem: memstore.New(), flaws: flaws} },
		Restart: func(_ testing.TB, old Full) Full {
			o := old.(*flawed)
			if o.stale == nil {
				o.stale = o.mem
			}
			return &flawed{mem: o.stale.Restarted(), flaws: flaws, kept: o.kept, restarted: true}
		},
	}
}

// forget makes a restart find what is there now, nothing later.
func forget(f *flawed, _ *call) {
	if f.stale == nil {
		f.stale = f.mem.Restarted()
	}
}

// record is what the store knows of a session, asked without the flaw.
func (f *flawed) record(id session.ID) store.Record {
	r, _ := f.mem.Get(context.Background(), id)
	return r
}

func (f *flawed) do(method string, c *call, ask func()) {
	c.method = method
	for _, fl := range f.flaws {
		if fl.before != nil && (fl.method == method || fl.method == "") {
			fl.before(f, c)
		}
	}
	if !c.answered {
		ask()
	}
	if f.lie != nil && method == "Get" && c.err == nil {
		f.lie(&c.r)
	}
	for _, fl := range f.flaws {
		if fl.after != nil && (fl.method == method || fl.method == "") {
			fl.after(f, c)
		}
	}
}

func (f *flawed) Create(ctx context.Context, s session.Session) error {
	c := &call{ctx: ctx, id: s.ID, ses: s}
	f.do("Create", c, func() { c.err = f.mem.Create(c.ctx, c.ses) })
	return c.err
}

func (f *flawed) Get(ctx context.Context, id session.ID) (store.Record, error) {
	c := &call{ctx: ctx, id: id}
	f.do("Get", c, func() { c.r, c.err = f.mem.Get(c.ctx, c.id) })
	return c.r, c.err
}

func (f *flawed) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (store.Record, store.Attempt, error) {
	c := &call{ctx: ctx, id: id, rev: rev, in: in}
	f.do("Begin", c, func() { c.r, c.open, c.err = f.mem.Begin(c.ctx, c.id, c.rev, c.in) })
	return c.r, c.open, c.err
}

func (f *flawed) Extend(ctx context.Context, a store.Attempt, lease time.Duration) error {
	c := &call{ctx: ctx, id: a.SessionID, a: a}
	f.do("Extend", c, func() { c.err = f.mem.Extend(c.ctx, c.a, lease) })
	return c.err
}

func (f *flawed) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	c := &call{ctx: ctx, id: a.SessionID, a: a, ses: next}
	f.do("Commit", c, func() { c.err = f.mem.Commit(c.ctx, c.a, c.ses) })
	return c.err
}

func (f *flawed) Fail(ctx context.Context, a store.Attempt, failure session.Failure) error {
	c := &call{ctx: ctx, id: a.SessionID, a: a, failure: failure}
	f.do("Fail", c, func() { c.err = f.mem.Fail(c.ctx, c.a, c.failure) })
	return c.err
}

func (f *flawed) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	c := &call{ctx: ctx, id: id, why: why, only: only}
	f.do("End", c, func() { c.last, c.err = f.mem.End(c.ctx, c.id, c.why, c.only) })
	return c.last, c.err
}

func (f *flawed) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	c := &call{ctx: ctx, at: before, since: usedSince, limit: limit}
	f.do("Due", c, func() { c.page, c.next, c.err = f.mem.Due(c.ctx, c.at, c.since, c.limit) })
	return c.page, c.next, c.err
}

func (f *flawed) Touch(ctx context.Context, used map[session.ID]time.Time) error {
	c := &call{ctx: ctx, used: used}
	f.do("Touch", c, func() { c.err = f.mem.Touch(c.ctx, c.used) })
	return c.err
}

func (f *flawed) Find(ctx context.Context, k session.SubjectKey) ([]session.ID, error) {
	c := &call{ctx: ctx, key: k}
	f.do("Find", c, func() { c.ids, c.err = f.mem.Find(c.ctx, c.key) })
	return c.ids, c.err
}

func (f *flawed) Reap(ctx context.Context, now, unusedSince time.Time, limit int) ([]session.ID, error) {
	c := &call{ctx: ctx, at: now, since: unusedSince, limit: limit}
	f.do("Reap", c, func() { c.ids, c.err = f.mem.Reap(c.ctx, c.at, c.since, c.limit) })
	return c.ids, c.err
}

func (f *flawed) Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error) {
	c := &call{ctx: ctx, prefix: prefix, limit: limit}
	f.do("Lookup", c, func() { c.ids, c.err = f.mem.Lookup(c.ctx, c.prefix, c.limit) })
	return c.ids, c.err
}

func (f *flawed) List(ctx context.Context, after store.Cursor, limit int) ([]session.ID, store.Cursor, error) {
	c := &call{ctx: ctx, after: after, limit: limit}
	f.do("List", c, func() { c.ids, c.more, c.err = f.mem.List(c.ctx, c.after, c.limit) })
	return c.ids, c.more, c.err
}

func (f *flawed) Import(ctx context.Context, r store.Record) error {
	c := &call{ctx: ctx, id: r.Session.ID, r: r}
	f.do("Import", c, func() { c.err = f.mem.Import(c.ctx, c.r) })
	return c.err
}

func (f *flawed) Bury(ctx context.Context, id session.ID, t store.Tombstone) error {
	c := &call{ctx: ctx, id: id, tomb: t}
	f.do("Bury", c, func() { c.err = f.mem.Bury(c.ctx, c.id, c.tomb) })
	return c.err
}
