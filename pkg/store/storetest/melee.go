package storetest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// witness is what everybody saw of one session, in real time: what a call has
// told before another began, the other must know.
type witness struct {
	mu        sync.Mutex
	holders   int // attempts given and not yet on their way to be closed
	fence     uint64
	committed session.Revision
	attempts  map[uint64]store.AttemptID
	ended     bool
}

// saw is a witness's state at one instant.
type saw struct {
	fence     uint64
	committed session.Revision
	ended     bool
}

func (w *witness) now() saw {
	w.mu.Lock()
	defer w.mu.Unlock()
	return saw{w.fence, w.committed, w.ended}
}

func (w *witness) do(f func(*witness)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
}

func raceMelee(p *probe) {
	const workers, steps = 8, 40
	sessions := make([]session.Session, 3)
	witnesses := make([]*witness, len(sessions))
	for i := range sessions {
		sessions[i] = p.create()
		witnesses[i] = &witness{committed: 1, attempts: make(map[uint64]store.AttemptID)}
	}
	together(workers, func(worker int) {
		rng := rand.New(rand.NewPCG(uint64(worker), 1))
		for step := range steps {
			i := rng.IntN(len(sessions))
			if worker == 0 && step == steps*3/4 { // one End there is in any case
				melee{p, sessions[0].ID, witnesses[0], rng}.end()
			}
			m := melee{p, sessions[i].ID, witnesses[i], rng}
			switch n := rng.IntN(100); {
			case n < 60:
				m.refresh()
			case n < 85:
				m.look()
			case n < 96 || step < steps/2:
				m.index(sessions[i])
			default:
				m.end()
			}
		}
	})
	for i, w := range witnesses {
		m := melee{p, sessions[i].ID, w, nil}
		m.look()
		if w.fence == 0 {
			p.Errorf("no attempt was given: the check checks nothing")
		}
	}
}

// melee is one worker's turn at one session.
type melee struct {
	*probe
	id  session.ID
	w   *witness
	rng *rand.Rand
}

// refresh is Begin, then Commit or Fail.
func (m melee) refresh() {
	before := m.w.now()
	r, a, err := m.s.Begin(m.ctx, m.id, 0, m.intent(-time.Second))
	if m.over(before, err) {
		return
	}
	if err != nil {
		m.is("Begin", err, session.ErrBusy)
		m.fits("the Record of ErrBusy", before, r)
		m.b.Sleep(time.Millisecond) // others' turn
		return
	}
	m.w.do(func(w *witness) {
		if w.holders++; w.holders > 1 {
			m.Errorf("two attempts are open at once")
		}
		if other, taken := w.attempts[a.Fence]; taken && other != a.ID || a.Fence <= before.fence {
			m.Errorf("fence %d was given before", a.Fence)
		}
		w.attempts[a.Fence] = a.ID
		w.fence = max(w.fence, a.Fence)
	})
	m.fits("the Record of Begin", before, r)
	m.b.Sleep(time.Millisecond) // the POST: others' turn
	next := renewed(r.Session)
	switch m.rng.IntN(4) {
	case 0:
		m.giveUp(a)
	case 1:
		if err := m.s.Extend(m.ctx, a, time.Minute); err != nil {
			m.is("Extend of the open attempt", err, session.ErrEnded)
		}
		fallthrough
	default:
		m.commit(a, next)
	}
}

func (m melee) giveUp(a store.Attempt) {
	m.w.do(func(w *witness) { w.holders-- })
	before := m.w.now()
	f := session.Failure{Class: session.Unknown, Sent: m.rng.IntN(2) == 0}
	if err := m.s.Fail(m.ctx, a, f); !m.over(before, err) && err != nil {
		m.Errorf("Fail of the open attempt: %v", err)
	}
}

func (m melee) commit(a store.Attempt, next session.Session) {
	m.w.do(func(w *witness) { w.holders-- })
	before := m.w.now()
	err := m.s.Commit(m.ctx, a, next)
	if m.over(before, err) {
		return
	}
	if err != nil {
		m.Errorf("Commit of the open attempt: %v", err)
		return
	}
	m.w.do(func(w *witness) {
		if next.Revision <= before.committed {
			m.Errorf("revision %d was committed twice", next.Revision)
		}
		w.committed = max(w.committed, next.Revision)
	})
}

// look reads the record.
func (m melee) look() {
	before := m.w.now()
	r, err := m.s.Get(m.ctx, m.id)
	if m.over(before, err) {
		return
	}
	if err != nil {
		m.Errorf("Get: %v", err)
	}
	m.fits("Get", before, r)
}

// index asks the other half of the store, which must not disturb this one.
func (m melee) index(s session.Session) {
	before := m.w.now()
	page, _, err := m.s.Due(m.ctx, time.Now().Add(50*time.Minute), time.Time{}, 10)
	if err != nil {
		m.Errorf("Due: %v", err)
	}
	for _, e := range page {
		if e.ID == m.id && (before.ended || e.Revision < before.committed) {
			m.Errorf("Due lists revision %d of a session at %+v", e.Revision, before)
		}
	}
	if err := m.s.Touch(m.ctx, map[session.ID]time.Time{m.id: time.Now()}); err != nil {
		m.Errorf("Touch: %v", err)
	}
	if _, err := m.s.Find(m.ctx, subjectOf(s)); err != nil {
		m.Errorf("Find: %v", err)
	}
}

func (m melee) end() {
	before := m.w.now()
	last, err := m.s.End(m.ctx, m.id, session.ReasonLogout, store.Cond{})
	if err != nil {
		m.Errorf("End: %v", err)
		return
	}
	m.w.do(func(w *witness) {
		switch {
		case last.Revision == 0: // somebody else's End came first
		case before.ended:
			m.Errorf("End returns the session a second time")
		case last.Revision < before.committed:
			m.Errorf("End returns revision %d after %d was committed", last.Revision, before.committed)
		}
		w.ended = true
	})
}

// over reports whether err says that the session is over, and expects it to if
// that was known before the call.
func (m melee) over(before saw, err error) bool {
	if errors.Is(err, session.ErrEnded) {
		return true
	}
	if before.ended {
		m.Errorf("after End: got error %v, want %v", err, session.ErrEnded)
	}
	return before.ended
}

// fits expects a record no older than what was known before the call.
func (m melee) fits(what string, before saw, r store.Record) {
	if r.Session.Revision < before.committed || r.Fence < before.fence {
		m.Errorf("%s: revision %d, fence %d after %+v was known", what, r.Session.Revision, r.Fence, before)
	}
}
