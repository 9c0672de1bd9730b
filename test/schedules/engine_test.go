package schedules

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// engine is one process: the real refresher and life cycle.
type engine struct {
	world    *world
	seat     int // 0 or 1: a crashed process has a successor in its seat
	owner    string
	ref      *refresh.Refresher
	life     *lifecycle.Lifecycle
	seen     *seen
	sweeping context.CancelFunc
	tasks    sync.WaitGroup

	// The world's lock guards these.
	dead     bool
	paused   chan struct{} // closed by the resumption; nil: is not paused
	begun    begun         // its newest attempt
	holds    int           // number of a refresh token it was given and has not stored; 0: none
	visiting bool
}

// begun is what an attempt was told.
type begun struct {
	attempt store.Attempt
	record  store.Record
}

func (w *world) newEngine(seat int) *engine {
	w.owners++
	e := &engine{world: w, seat: seat, owner: string(rune('a' + w.owners - 1)), seen: &seen{policy: w.policy}}
	log := slog.New(slog.DiscardHandler)
	e.life = lifecycle.New(lifecycle.Options{
		Store: storeOf{w.mem, e}, Cache: e.seen, Revoker: e, Settings: lifecycle.Settings{Idle: time.Hour}, Log: log, Metrics: w.meters.lifecycle,
		Changed: func() { e.ref.Kick() },
	})
	e.ref = refresh.New(refresh.Options{
		Store: storeOf{w.mem, e}, Provider: e, Cache: e.seen, Sessions: e.life, Owner: e.owner, MaxInFlight: 4, Log: log, Metrics: w.meters.refresh,
		Settings: refresh.Settings{
			Profile: w.profile, Policy: w.policy, Deadline: deadline, Lease: lease,
			Sweep: refresh.SweepOptions{CheckInterval: time.Minute, ActiveWithin: time.Hour, Rate: 100},
		},
	})
	if w.sweep {
		ctx, cancel := context.WithCancel(context.Background())
		e.sweeping = cancel
		e.tasks.Go(func() { e.ref.Run(ctx) })
	}
	return e
}

func (e *engine) name() string { return "process " + e.owner }

// end stops the engine; crash makes sure first that nothing of it has an effect.
func (e *engine) end() error {
	if e.sweeping != nil {
		e.sweeping()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := errors.Join(e.ref.Stop(ctx), e.life.Close(ctx))
	e.tasks.Wait()
	return err
}

// visit is a request of the user, as a Check treats it.
func (e *engine) visit() {
	w := e.world
	v := e.seen.view()
	if v == nil {
		r, err := w.mem.Get(context.Background(), w.id)
		if err != nil {
			return
		}
		v = e.seen.Publish(r)
	}
	now := time.Now()
	if v.Window.Freshness(now) == session.Fresh || now.Before(v.NotBefore) {
		return
	}
	w.mu.Lock()
	again := e.visiting || e.dead
	e.visiting = true
	w.mu.Unlock()
	if again {
		return
	}
	e.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		_, _ = e.ref.Wait(ctx, v)
		w.mu.Lock()
		defer w.mu.Unlock()
		e.visiting = false
	})
}

// force is an operator's refresh.
func (e *engine) force() {
	e.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		_, _ = e.ref.Force(ctx, e.world.id)
	})
}

// logout is the user's.
func (e *engine) logout() {
	e.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		_, _ = e.life.End(ctx, e.world.id, session.ReasonLogout)
	})
}

// Refresh implements refresh.TokenEndpoint: a request, the provider's work, and
// the answer's way back.
func (e *engine) Refresh(ctx context.Context, s session.Session) session.Answer {
	w := e.world
	if w.flaw == deadlineFromThePost {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), deadline)
		defer cancel()
	}
	lost := session.Answer{Class: session.Unknown, Sent: true, Err: errors.New("cut")}
	if ctx.Err() != nil {
		return session.Answer{Class: session.Transient, Err: ctx.Err()}
	}
	n := number(s.Token.Refresh)
	givenUp, _ := ctx.Deadline()
	done := w.posted(e, n, givenUp)
	defer done()
	switch e.hold(ctx, "request", drop, busy) {
	case pass:
	case busy:
		return session.Answer{Class: session.Transient, Sent: true, Err: errors.New("503")}
	default:
		w.unanswered(e)
		return lost
	}
	ans := w.provide(e, n)
	if e.hold(ctx, "answer", lose) != pass {
		w.unanswered(e)
		return lost
	}
	return ans
}

// Revoke implements lifecycle.Revoker.
func (e *engine) Revoke(_ context.Context, s session.Session) error {
	w := e.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if !e.dead {
		w.revoked[number(s.Token.Refresh)] = true
	}
	return nil
}

// seen is what the engine's requests see: the newest view, as sessioncache keeps
// it.
type seen struct {
	policy session.Policy
	mu     sync.Mutex
	newest *session.View
	ended  bool
}

// Publish implements refresh.Cache.
func (s *seen) Publish(r store.Record) *session.View {
	v := &session.View{
		Session: r.Session, Window: s.policy.Window(r.Session), NotBefore: r.NotBefore,
		InDoubt: r.InDoubt || r.Attempt != nil, LastClass: r.LastClass, Used: r.Used,
	}
	if r.InDoubt && r.Attempt == nil {
		v.NotBefore = session.Later(v.NotBefore, r.ReplayAt)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil || s.newest.Session.Revision <= v.Session.Revision {
		s.newest = v
	}
	return v
}

// Forget implements refresh.Cache.
func (s *seen) Forget(session.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// view is nil when the store has to be read.
func (s *seen) view() *session.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	return s.newest
}
