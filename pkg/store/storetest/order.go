package storetest

import (
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// orderCase brings a session where two conditions of Begin's order hold at
// once, and names the one that must win.
type orderCase struct {
	name    string
	arrange func(*probe, session.Session) (session.Revision, store.Intent)
	want    error // nil: the same Attempt again
}

// orderChecks makes a check of every pair of conditions that can hold at once.
// NotBefore and ReplayAt answer alike: what tells them apart is Force, and that
// is "Begin/order/Force passes NotBefore and meets ReplayAt".
func orderChecks() []check {
	var all []check
	for _, c := range orderCases() {
		all = append(all, check{"Begin/order/" + c.name, c.run})
	}
	return all
}

func orderCases() []orderCase {
	return []orderCase{
		{"ended before moved", orderEndedMoved, session.ErrEnded},
		{"ended before the same AttemptID", orderEndedSame, session.ErrEnded},
		{"moved before the same AttemptID", orderMovedSame, session.ErrMoved},
		{"moved before busy", orderMovedBusy, session.ErrMoved},
		{"moved before NotBefore", orderMovedNotBefore, session.ErrMoved},
		{"moved before ReplayAt", orderMovedReplayAt, session.ErrMoved},
		{"the same AttemptID before busy", orderSameBusy, nil},
		{"the same AttemptID before NotBefore", orderSameNotBefore, nil},
		{"the same AttemptID before a dead owner's ReplayAt", orderSameReplayAt, nil},
		{"busy before NotBefore", orderBusyNotBefore, session.ErrBusy},
		{"busy before ReplayAt", orderBusyReplayAt, session.ErrBusy},
		{"Force passes NotBefore and meets ReplayAt", orderForce, session.ErrNotYet},
	}
}

func (c orderCase) run(p *probe) {
	s := p.create()
	rev, in := c.arrange(p, s)
	switch c.want {
	case session.ErrEnded:
		_, _, err := p.s.Begin(p.ctx, s.ID, rev, in)
		p.is("Begin", err, session.ErrEnded)
	case nil:
		p.unchanged("Begin with the AttemptID that is open", s.ID, func() {
			before := p.get(s.ID)
			r, a, err := p.s.Begin(p.ctx, s.ID, rev, in)
			p.ok("Begin with the AttemptID that is open", err)
			p.same("Attempt of Begin", &a, before.Attempt)
			p.same("Record of Begin", r, before)
		})
	default:
		p.refuse("Begin", s.ID, rev, in, c.want)
	}
}

// open begins an attempt with in, past NotBefore if need be.
func (p *probe) open(s session.Session, force bool) store.Intent {
	p.Helper()
	in := p.intent(time.Hour)
	in.Force = force
	_, _, err := p.s.Begin(p.ctx, s.ID, 0, in)
	p.ok("Begin", err)
	in.Force = false
	return in
}

// backOff leaves NotBefore in an hour.
func (p *probe) backOff(s session.Session) {
	p.Helper()
	p.fail(p.begin(s.ID), session.Failure{Class: session.Refused, Sent: true, NotBefore: p.from(time.Hour)})
}

// doubt leaves s in doubt, ReplayAt in an hour.
func (p *probe) doubt(s session.Session) {
	p.Helper()
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, ReplayAt: p.from(time.Hour)})
}

func orderEndedMoved(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.renew(s)
	p.end(s.ID, session.ReasonLogout)
	return 1, p.intent(time.Hour)
}

func orderEndedSame(p *probe, s session.Session) (session.Revision, store.Intent) {
	in := p.open(s, false)
	p.end(s.ID, session.ReasonLogout)
	return 1, in
}

func orderMovedSame(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.renew(s)
	return 1, p.open(s, false)
}

func orderMovedBusy(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.renew(s)
	p.begin(s.ID)
	return 1, p.intent(time.Hour)
}

func orderMovedNotBefore(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.renew(s)
	p.backOff(s)
	return 1, p.intent(time.Hour)
}

func orderMovedReplayAt(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.renew(s)
	p.doubt(s)
	return 1, p.intent(time.Hour)
}

func orderSameBusy(p *probe, s session.Session) (session.Revision, store.Intent) {
	return 1, p.open(s, false)
}

func orderSameNotBefore(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.backOff(s)
	return 1, p.open(s, true)
}

func orderSameReplayAt(p *probe, s session.Session) (session.Revision, store.Intent) {
	in := p.open(s, false)
	p.restart()
	return 1, in
}

func orderBusyNotBefore(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.backOff(s)
	p.open(s, true)
	return 1, p.intent(time.Hour)
}

func orderBusyReplayAt(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.doubt(s)
	p.until(p.get(s.ID).ReplayAt)
	p.begin(s.ID)
	return 1, p.intent(time.Hour)
}

func orderForce(p *probe, s session.Session) (session.Revision, store.Intent) {
	p.fail(p.begin(s.ID), session.Failure{
		Class: session.Unknown, Sent: true, NotBefore: p.from(time.Hour), ReplayAt: p.from(time.Hour),
	})
	in := p.intent(time.Hour)
	in.Force = true
	return 1, in
}
