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
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
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
		Store: storeOf{w.mem, e}, Cache: e.seen, Revoker: e, Idle: time.Hour, Log: log, Metrics: w.meters.lifecycle,
		Changed: func() { e.ref.Kick() },
	})
	e.ref = refresh.New(refresh.Options{
		Store: storeOf{w.mem, e}, Provider: e, Profile: w.profile, Cache: e.seen, Sessions: e.life, Policy: w.policy,
		Deadline: deadline, Lease: lease, Owner: e.owner, MaxInFlight: 4, Log: log, Metrics: w.meters.refresh,
		Sweep: refresh.SweepOptions{CheckInterval: time.Minute, ActiveWithin: time.Hour, Rate: 100},
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
func (e *engine) Revoke(_ context.Context, t session.RefreshToken) error {
	w := e.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if !e.dead {
		w.revoked[number(t)] = true
	}
	return nil
}

// storeOf is the store as one engine reaches it.
type storeOf struct {
	*memstore.Store
	engine *engine
}

// do makes one step of the store when the schedule lets it. It has effect under
// the world's lock, so that the watch sees every state.
func (s storeOf) do(ctx context.Context, what string, step func() error, verdicts ...verdict) error {
	e := s.engine
	v := e.hold(ctx, what, verdicts...)
	w := e.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if v == gone || v == late || w.down || e.dead {
		return errDown
	}
	err := step()
	if v == twice {
		if again := step(); (again == nil) != (err == nil) || session.Gone(again) != session.Gone(err) {
			w.wrongf("%s made again says %v, the first time %v", what, again, err)
		}
	}
	w.watch()
	if v == lose {
		return errDown
	}
	return err
}

// Get implements store.Store. A read changes nothing, so it is not held.
func (s storeOf) Get(ctx context.Context, id session.ID) (store.Record, error) {
	s.engine.awake()
	w := s.engine.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || s.engine.dead {
		return store.Record{}, errDown
	}
	return s.Store.Get(ctx, id)
}

// Begin implements store.Store. Its reply is held too: a process may be stopped
// just before it writes the request.
func (s storeOf) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	s.engine.awake()
	w := s.engine.world
	if r, busy := w.busy(s.engine); busy { // a read that changes nothing: no schedule depends on it
		return r, store.Attempt{}, session.ErrBusy
	}
	err = s.do(ctx, "Begin", func() (err error) {
		r, a, err = w.begin(ctx, id, rev, in)
		return err
	}, lose, twice)
	if err != nil {
		if errors.Is(err, session.ErrUnavailable) {
			return store.Record{}, store.Attempt{}, err
		}
		return r, a, err
	}
	w.mu.Lock()
	s.engine.begun = begun{a, r}
	w.mu.Unlock()
	if s.engine.hold(context.Background(), "reply to Begin") == gone {
		return store.Record{}, store.Attempt{}, errDown
	}
	return r, a, nil
}

// Extend implements store.Store.
func (s storeOf) Extend(ctx context.Context, a store.Attempt, d time.Duration) error {
	return s.do(ctx, "Extend", func() error { return s.Store.Extend(ctx, a, d) })
}

// Commit implements store.Store.
func (s storeOf) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	err := s.do(ctx, "Commit", func() error { return s.engine.world.commit(ctx, a, next) }, lose, twice)
	if !errors.Is(err, session.ErrUnavailable) {
		w := s.engine.world
		w.mu.Lock()
		defer w.mu.Unlock()
		w.settled(s.engine, next, err)
	}
	return err
}

// Fail implements store.Store.
func (s storeOf) Fail(ctx context.Context, a store.Attempt, f session.Failure) error {
	return s.do(ctx, "Fail", func() error { return s.engine.world.fail(ctx, a, f) }, lose)
}

// End implements store.Store.
func (s storeOf) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (last session.Session, err error) {
	err = s.do(ctx, "End", func() (err error) {
		ended, err := s.engine.world.end(ctx, s.engine, why, only)
		if last.Revision == 0 { // made again, it has nothing to return
			last = ended
		}
		return err
	}, lose, twice)
	if err != nil {
		return session.Session{}, err
	}
	return last, nil
}

// Due implements store.Index.
func (s storeOf) Due(ctx context.Context, before, usedSince time.Time, limit int) ([]store.DueEntry, time.Time, error) {
	s.engine.awake()
	w := s.engine.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || s.engine.dead {
		return nil, time.Time{}, errDown
	}
	return s.Store.Due(ctx, before, usedSince, limit)
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
