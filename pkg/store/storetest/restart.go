package storetest

import (
	"reflect"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func restartChecks() []check {
	return []check{
		{"Restart/keeps every field of a Session, created or committed", restartSession},
		{"Restart/keeps absent what is absent", restartBare},
		{"Restart/keeps every field of a Record", restartRecord},
		{"Restart/keeps sessions apart", restartMany},
		{"Crash/after Begin, the POST or the answer is the same open attempt, in doubt until ReplayAt", crashAfterBegin},
		{"Crash/of a replay's owner is in doubt still", crashAfterReplay},
		{"Crash/after Commit is revision n+1", crashAfterCommit},
		{"Crash/after End stays ended", crashAfterEnd},
		{"Doubt/only Commit and End clear it", doubtStays},
	}
}

func restartSession(p *probe) {
	s := p.create()
	p.complete(s)
	p.restart()
	p.same("Get after Create and a restart", p.get(s.ID).Session, s)
	next := p.renew(s)
	p.complete(next)
	p.restart()
	p.same("Get after Commit and a restart", p.get(s.ID).Session, next)
}

func restartBare(p *probe) {
	s := p.create(bare)
	p.restart()
	p.same("Get after a restart", p.get(s.ID), store.Record{Session: s, Used: s.CreatedAt})
}

func restartRecord(p *probe) {
	s := p.renew(p.create())
	p.touch(s.ID, p.from(time.Minute))
	at := p.from(2 * time.Minute)
	p.fail(p.begin(s.ID), session.Failure{Class: session.Unknown, Sent: true, NotBefore: at, ReplayAt: at.Add(1)})
	p.until(at.Add(1))
	p.begin(s.ID)
	before := p.get(s.ID)
	p.complete(before)
	p.restart()
	p.same("Get after a restart", p.get(s.ID), before)
}

// complete stops a check of "every field" that does not set every field.
func (p *probe) complete(v any) {
	p.Helper()
	if path := zeroField(reflect.ValueOf(v)); path != "" {
		p.Fatalf("the suite's own sample leaves %T%s zero", v, path)
	}
}

// zeroField is the path of a zero field of v, "" if there is none.
func zeroField(v reflect.Value) string {
	if v.IsZero() {
		return " itself"
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return ""
	}
	for i := range v.NumField() {
		if path := zeroField(v.Field(i)); path != "" && v.Type().Field(i).Tag.Get("store") != "-" {
			return "." + v.Type().Field(i).Name + path
		}
	}
	return ""
}

func restartMany(p *probe) {
	var want []store.Record
	for i := range 5 {
		s := p.create()
		if i%2 == 1 {
			p.fail(p.begin(s.ID), session.Failure{Class: session.Refused, Sent: true, NotBefore: p.from(time.Minute)})
		}
		want = append(want, p.get(s.ID))
	}
	p.restart()
	for _, r := range want {
		p.same("Get after a restart", p.get(r.Session.ID), r)
	}
}

// Whether the owner died before its POST, after it, or with the answer in its
// hands: the store cannot know, so it is one state.
func crashAfterBegin(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	p.restart()
	r := p.get(s.ID)
	p.same("Session after the crash", r.Session, s)
	p.same("Attempt after the crash", r.Attempt, &a)
	p.refuse("Begin before ReplayAt", s.ID, 1, p.intent(2*time.Hour), session.ErrNotYet)
	p.until(r.ReplayAt)
	replay := p.begin(s.ID)
	p.same("the replay's InDoubt", replay.InDoubt, true)
	p.commit(replay, renewed(s))
}

func crashAfterReplay(p *probe) {
	s, _ := p.inDoubt()
	first := p.begin(s.ID)
	at := p.get(s.ID).ReplayAt
	for range 2 {
		p.restart()
		r := p.get(s.ID)
		p.same("Attempt after the crash", r.Attempt, &first)
		p.same("InDoubt after the crash", r.InDoubt, true)
		p.refuse("Begin before ReplayAt", s.ID, 1, p.intent(2*time.Hour), session.ErrNotYet)
	}
	p.until(at)
	second := p.begin(s.ID)
	p.same("the next replay's InDoubt", second.InDoubt, true)
	p.same("the next replay's Fence", second.Fence, first.Fence+1)
}

func crashAfterCommit(p *probe) {
	s := p.create()
	next := p.renew(s)
	p.restart()
	p.same("Session after the crash", p.get(s.ID).Session, next)
	p.refuse("Begin of revision n", s.ID, 1, p.intent(time.Hour), session.ErrMoved)
	p.same("InDoubt of an attempt on n+1", p.begin(s.ID).InDoubt, false)
}

func crashAfterEnd(p *probe) {
	s := p.create()
	a := p.begin(s.ID)
	p.end(s.ID, session.ReasonLogout)
	p.restart()
	p.gone("the crash", s.ID)
	p.is("Commit after the crash", p.s.Commit(p.ctx, a, renewed(s)), session.ErrEnded)
	last, err := p.s.End(p.ctx, s.ID, session.ReasonLogout, store.Cond{})
	p.ok("End after the crash", err)
	p.same("the session it returns", last, session.Session{})
}

func doubtStays(p *probe) {
	s, at := p.inDoubt()
	stays := func(what string) {
		p.Helper()
		p.same("InDoubt after "+what, p.get(s.ID).InDoubt, true)
	}
	for _, f := range []session.Failure{
		{Class: session.Transient},
		{Class: session.Transient, Sent: true, ReplayAt: at},
		{Class: session.Misconfigured, Sent: true, ReplayAt: at},
		{Class: session.Refused, Sent: true, ReplayAt: at},
		{Class: session.Dead, Sent: true, ReplayAt: at},
		{Class: session.Unknown, Sent: true, ReplayAt: at},
	} {
		a := p.begin(s.ID)
		stays("Begin")
		p.ok("Extend", p.s.Extend(p.ctx, a, time.Minute))
		stays("Extend")
		p.fail(a, f)
		stays("Fail " + f.Class.String())
	}
	p.touch(s.ID, p.from(time.Minute))
	stays("Touch")
	p.restart()
	stays("a restart")
	p.renew(s)
	p.same("InDoubt after Commit", p.get(s.ID).InDoubt, false)
}
