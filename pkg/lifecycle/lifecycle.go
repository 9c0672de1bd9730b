package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Store is the part of the store of record that begins, ends and finds sessions.
type Store interface {
	store.Store
	store.Index
}

// Cache is what readers see; implemented by sessioncache.
type Cache interface {
	Publish(store.Record) *session.View
	Forget(session.ID)
}

// Revoker tells the OP that s's refresh token will not be used again.
type Revoker interface {
	Revoke(ctx context.Context, s session.Session) error
}

// Options of New. Now is for clock-step tests; nil means time.Now.
type Options struct {
	Store   Store
	Cache   Cache
	Revoker Revoker
	Settings
	// Changed is called after the due index may have an earlier entry.
	Changed func()
	Log     *slog.Logger
	Metrics *Metrics
	Now     func() time.Time
}

// Settings are what [Lifecycle.Configure] may change.
type Settings struct {
	Idle time.Duration // a session not used for so long ends
	// SharedGrant: at this OP revoking one session's token ends the user's other
	// sessions too, so it waits for the last of them.
	SharedGrant bool
}

// Lifecycle is safe for concurrent use.
type Lifecycle struct {
	opts Options
	now  atomic.Pointer[settings]
	uses useMap

	mu          sync.Mutex
	closed      bool // no revocation may start: Close is waiting for those under way
	unrevoked   int  // revocations under way or waiting
	revocations sync.WaitGroup
	revoking    chan struct{}   // slots: a night's idle sessions end in one round
	stop        context.Context // done: revocations give up
	cancel      context.CancelFunc
}

const (
	maxRevoking = 8
	// maxUnrevoked take some 60 MB. While the provider is away, whatever ends waits here: the
	// reaper stops at half of it.
	maxUnrevoked = 10_000
)

// New returns a Lifecycle; Run does its periodic work, Close ends it.
func New(o Options) *Lifecycle {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	l := &Lifecycle{opts: o, revoking: make(chan struct{}, maxRevoking)}
	l.stop, l.cancel = context.WithCancel(context.Background())
	l.now.Store(&settings{o.Settings, o.Now()})
	return l
}

// settings hold since when: from the start on, or since a session may be idle sooner.
type settings struct {
	Settings
	since time.Time
}

// Configure is for what is asked from now on. It is called by one goroutine at a time.
func (l *Lifecycle) Configure(s Settings) {
	before := l.now.Load()
	since := before.since
	if s.Idle < before.Idle {
		since = l.opts.Now()
	}
	l.now.Store(&settings{s, since})
}

func (l *Lifecycle) idle() time.Duration { return l.now.Load().Idle }

// Create makes a new session durable and visible.
func (l *Lifecycle) Create(ctx context.Context, s session.Session) error {
	if err := l.opts.Store.Create(ctx, s); err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	l.opts.Cache.Publish(store.NewRecord(s))
	l.uses.note(s.ID, s.CreatedAt, s.Token.Lifetime)
	l.opts.Changed()
	l.opts.Log.Info("session created", "session", s.ID, "access_token_life", s.Token.Lifetime, "refreshable", !s.Token.Refresh.IsZero())
	return nil
}

// End ends a session for good and returns what it was. When it returns nil, no
// later request of this process is served by the session. One that has ended
// already is nil with a zero Session; one that never was, session.ErrNotFound.
func (l *Lifecycle) End(ctx context.Context, id session.ID, why session.Reason) (session.Session, error) {
	return l.EndIf(ctx, id, why, store.Cond{})
}

// EndIf is End under a condition; session.ErrMoved and no effect if it does not
// hold.
func (l *Lifecycle) EndIf(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (session.Session, error) {
	last, err := l.opts.Store.End(ctx, id, why, only)
	if err != nil {
		return session.Session{}, fmt.Errorf("end session: %w", err)
	}
	l.opts.Cache.Forget(id)
	l.uses.forget(id)
	if last.Revision == 0 {
		return last, nil
	}
	l.opts.Metrics.ended.WithLabelValues(string(why)).Inc()
	l.opts.Log.Info("session ended", "session", id, "reason", string(why), "revision", last.Revision)
	if why != session.ReasonDead && why != session.ReasonLostAnswer { // those the OP has ended itself
		l.Revoke(last)
	}
	return last, nil
}

// Revoke has s's refresh token revoked in the background, in a few tries.
func (l *Lifecycle) Revoke(s session.Session) {
	if s.Token.Refresh.IsZero() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.unrevoked == maxUnrevoked {
		l.opts.Metrics.unrevoked.Inc()
		return
	}
	l.unrevoked++
	l.revocations.Go(func() {
		l.revoke(s)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unrevoked--
	})
}

// crowded tells that the provider is far behind with revocations.
func (l *Lifecycle) crowded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unrevoked >= maxUnrevoked/2
}

func (l *Lifecycle) revoke(s session.Session) {
	const tries, perTry = 4, 5 * time.Second
	select {
	case l.revoking <- struct{}{}:
		defer func() { <-l.revoking }()
	case <-l.stop.Done():
	}
	if l.now.Load().SharedGrant && l.needed(s) {
		l.opts.Log.Debug("refresh token was not revoked, another session of the user stands on the same grant", "session", s.ID)
		return
	}
	wait := time.Second
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(l.stop, perTry)
		err := l.opts.Revoker.Revoke(ctx, s)
		cancel()
		if err == nil {
			return
		}
		if try == tries || l.stop.Err() != nil {
			l.opts.Metrics.unrevoked.Inc()
			l.opts.Log.Warn("refresh token was not revoked", "session", s.ID, "tries", try, "error", err)
			return
		}
		select {
		case <-time.After(wait):
		case <-l.stop.Done():
		}
		wait *= 3
	}
}

// needed tells that another session of s's user lives, or may.
func (l *Lifecycle) needed(s session.Session) bool {
	if s.Identity.Subject == "" {
		return false
	}
	ids, err := l.opts.Store.Find(l.stop, session.SubjectKey{App: s.App, Provider: s.Provider, Sub: s.Identity.Subject})
	return err != nil || slices.ContainsFunc(ids, func(id session.ID) bool { return id != s.ID })
}

// Close flushes the last uses and waits for revocations under way until ctx is
// done; then they are given up. Later ones are not made.
func (l *Lifecycle) Close(ctx context.Context) error {
	err := l.flush(ctx)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.revocations.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	l.cancel()
	<-done
	return err
}
