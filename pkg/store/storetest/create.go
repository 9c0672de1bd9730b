package storetest

import (
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func createChecks() []check {
	return []check{
		{"Create/writes revision 1", createWrites},
		{"Create/is durable when it returns", createIsDurable},
		{"Create/over a record is ErrExists", createOverRecord},
		{"Create/over a tombstone is ErrExists", createOverTombstone},
	}
}

func createWrites(p *probe) {
	s := p.create()
	p.same("Get after Create", p.get(s.ID), store.Record{Session: s, Used: s.CreatedAt, DueAt: s.SweepAt})
}

func createIsDurable(p *probe) {
	s := p.create()
	p.restart()
	p.same("Get after Create and a restart", p.get(s.ID).Session, s)
}

func createOverRecord(p *probe) {
	s := p.create()
	other := newSession()
	other.ID = s.ID
	p.unchanged("Create over a record", s.ID, func() {
		p.is("Create over a record", p.s.Create(p.ctx, other), session.ErrExists)
	})
}

func createOverTombstone(p *probe) {
	s := p.create()
	p.end(s.ID, session.ReasonLogout)
	p.is("Create over a tombstone", p.s.Create(p.ctx, s), session.ErrExists)
	_, err := p.s.Get(p.ctx, s.ID)
	p.is("Get after Create over a tombstone", err, session.ErrEnded)
}
