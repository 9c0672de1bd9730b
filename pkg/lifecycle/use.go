package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// FlushEvery is how long the store may not know of a use.
const FlushEvery = time.Minute

const (
	noteEvery = time.Second
	useShards = 64
)

// useMap is when each session was last used by this process.
type useMap [useShards]useShard

type useShard struct {
	mu   sync.Mutex
	last map[session.ID]use
}

type use struct {
	at      time.Time
	life    time.Duration // of the access token, to work out the needed refresh rate
	flushed bool
}

// note records a use, unless the last one is as good as this.
func (m *useMap) note(id session.ID, now time.Time, life time.Duration) {
	s := &m[id[0]%useShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make(map[session.ID]use)
	}
	if now.Sub(s.last[id].at) >= noteEvery {
		s.last[id] = use{at: now, life: life}
	}
}

func (m *useMap) last(id session.ID) time.Time {
	s := &m[id[0]%useShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[id].at
}

func (m *useMap) forget(id session.ID) {
	s := &m[id[0]%useShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, id)
}

// each calls f on every session's use under the shard's lock; what f returns
// replaces it, and false deletes it.
func (m *useMap) each(f func(session.ID, use) (use, bool)) {
	for i := range m {
		s := &m[i]
		s.mu.Lock()
		for id, u := range s.last {
			if next, keep := f(id, u); keep {
				s.last[id] = next
			} else {
				delete(s.last, id)
			}
		}
		s.mu.Unlock()
	}
}

// returnGrace is how long after a start nobody is idle: while we were down, or
// the wall clock was wrong, no session could be used. The same holds after the idle
// time was shortened: another replica may have told the store of a use as late as
// the longer one allows. It never lengthens an idle time by more than itself.
const returnGrace = 10 * time.Minute

// idleBefore: a session last used before it is idle at now.
func (l *Lifecycle) idleBefore(now time.Time) time.Time {
	set := l.now.Load()
	if now.Before(set.since.Add(min(returnGrace, set.Idle))) {
		return time.Time{}
	}
	return now.Add(-set.Idle)
}

// Use records that a request uses v's session at now, unless the session is
// over: session.ErrEnded then, after its end has been made durable. Other
// errors are the store's, and the request must not be served.
func (l *Lifecycle) Use(ctx context.Context, v *session.View, now time.Time) error {
	id := v.Session.ID
	if !now.Before(v.Session.EndsAt) {
		return l.over(ctx, id, session.ReasonAbsolute, store.Cond{})
	}
	local := l.uses.last(id)
	if now.Sub(local) < noteEvery { // all that follows would find nothing to do
		return nil
	}
	last := session.Later(local, v.Used)
	if last.Before(l.idleBefore(now)) {
		// The view may be older than what another replica, or a flush, has told the store.
		r, err := l.opts.Store.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read last use: %w", err)
		}
		if last = session.Later(last, r.Used); last.Before(l.idleBefore(now)) {
			return l.over(ctx, id, session.ReasonIdle, store.Cond{UnusedSince: now.Add(-l.idle())})
		}
	}
	if now.After(last.Add(l.idle()-2*FlushEvery)) && now.Sub(last) >= noteEvery {
		// The next flush may come after the idle end as another reader sees it. A
		// use that could not be written is none: the next request must write its own.
		if err := l.opts.Store.Touch(ctx, map[session.ID]time.Time{id: now}); err != nil {
			return fmt.Errorf("write last use: %w", err)
		}
		l.opts.Changed()
	}
	l.uses.note(id, now, v.Session.Token.Lifetime)
	return nil
}

// over ends a session whose time is up and says so; if its condition no longer
// holds, the session has been used after all.
func (l *Lifecycle) over(ctx context.Context, id session.ID, why session.Reason, only store.Cond) error {
	_, err := l.EndIf(ctx, id, why, only)
	switch {
	case errors.Is(err, session.ErrMoved):
		return nil
	case err == nil, errors.Is(err, session.ErrNotFound):
		return session.ErrEnded
	default:
		return err
	}
}

// Run flushes uses and ends sessions whose time is up, once a minute, until ctx
// is done.
func (l *Lifecycle) Run(ctx context.Context) {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.flush(ctx); err != nil {
			l.opts.Log.Warn("last uses were not written, they are kept for the next try", "error", err)
			continue
		}
		if err := l.reap(ctx); err != nil && ctx.Err() == nil {
			l.opts.Log.Warn("ended sessions were not reaped, the next round tries again", "error", err)
		}
	}
}

// flush writes the uses of the last period in one batch.
func (l *Lifecycle) flush(ctx context.Context) error {
	batch := make(map[session.ID]time.Time)
	l.uses.each(func(id session.ID, u use) (use, bool) {
		if !u.flushed {
			batch[id] = u.at
		}
		return u, true
	})
	if len(batch) == 0 {
		return nil
	}
	if err := l.opts.Store.Touch(ctx, batch); err != nil {
		return fmt.Errorf("flush last uses: %w", err)
	}
	now := l.opts.Now()
	l.uses.each(func(id session.ID, u use) (use, bool) {
		if at, ok := batch[id]; ok && at.Equal(u.at) {
			u.flushed = true
		}
		return u, !u.flushed || now.Sub(u.at) < l.idle()
	})
	l.opts.Changed()
	return nil
}

// reap ends sessions that nobody will come back to. One that cannot be ended is
// left for the next round and keeps no other from its end. Those that cannot be read
// stay listed, and the page grows by them. None is ended whose revocation would have to
// wait for long: nobody is served by it, and it is still there when the provider is back.
func (l *Lifecycle) reap(ctx context.Context) error {
	const page = 500
	unreadable := make(map[session.ID]bool)
	for !l.crowded() {
		now, limit := l.opts.Now(), page+2*len(unreadable)
		unusedSince := l.idleBefore(now)
		ids, err := l.opts.Store.Reap(ctx, now, unusedSince, limit)
		if err != nil {
			return fmt.Errorf("list sessions to reap: %w", err)
		}
		var failed error
		for _, id := range ids {
			if unreadable[id] {
				continue
			}
			why, only := session.ReasonIdle, store.Cond{UnusedSince: unusedSince}
			if r, err := l.opts.Store.Get(ctx, id); err == nil && !now.Before(r.Session.EndsAt) {
				why, only = session.ReasonAbsolute, store.Cond{}
			}
			switch _, err := l.EndIf(ctx, id, why, only); {
			case errors.Is(err, store.ErrUnreadable): // the store has told of it
				unreadable[id] = true
			case err != nil && !errors.Is(err, session.ErrMoved) && !errors.Is(err, session.ErrNotFound):
				failed = err
			}
		}
		if failed != nil || len(ids) < limit {
			return failed
		}
	}
	return nil
}

// Active counts the sessions used since, with the mean and the shortest life of
// their access tokens.
func (l *Lifecycle) Active(since time.Time) (n int, mean, least time.Duration) {
	var sum time.Duration
	l.uses.each(func(_ session.ID, u use) (use, bool) {
		if !u.at.Before(since) {
			if n++; n == 1 || u.life < least {
				least = u.life
			}
			sum += u.life
		}
		return u, true
	})
	if n > 0 {
		mean = sum / time.Duration(n)
	}
	return n, mean, least
}
