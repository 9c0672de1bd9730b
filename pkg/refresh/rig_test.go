package refresh_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is what a test may want otherwise than by default.
type setup struct {
	threshold     time.Duration
	jitter        time.Duration
	inFlight      int
	rate          int
	checkInterval time.Duration
	activeWithin  time.Duration
	deadline      time.Duration
	idle          time.Duration
	owner         string
	profile       string // of session.Profiles; generic
	custom        *session.Profile
	mem           *memstore.Store
	op            *provider
	encode        func(session.Session) (any, int64)
}

// rig is one process of ours with its store, in a bubble of fake time.
type rig struct {
	t     testing.TB
	start time.Time
	mem   *memstore.Store   // the truth
	store *faultstore.Store // the same, as our code sees it
	op    *provider
	cache *sessioncache.Cache
	life  *lifecycle.Lifecycle
	ref   *refresh.Refresher
	reg   *prometheus.Registry
	rev   *revoker
	log   *logbook.Book

	waiting   atomic.Int64 // callers in waitFor
	sweeping  context.CancelFunc
	swept     chan struct{}
	reuses    int // that the test expects at the provider
	handles   []session.Handle
	policy    session.Policy
	closeOnce sync.Once
}

// play runs f in a bubble of its own, beside other tests.
func play(t *testing.T, set setup, f func(*rig)) {
	t.Helper()
	t.Parallel()
	inBubble(t, set, f)
}

// inBubble runs f in a bubble of its own. Unless the test is parallel, no other
// one of the package runs meanwhile.
func inBubble(t *testing.T, set setup, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, set)
		defer r.close()
		f(r)
	})
}

func newRig(t testing.TB, set setup) *rig {
	t.Helper()
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	or(&set.threshold, 300*time.Second)
	or(&set.checkInterval, 300*time.Second)
	or(&set.activeWithin, 30*time.Minute)
	or(&set.deadline, 10*time.Second)
	or(&set.idle, time.Hour)
	if set.inFlight == 0 {
		set.inFlight = 48
	}
	if set.rate == 0 {
		set.rate = 300
	}
	if set.owner == "" {
		set.owner = "one"
	}
	if set.mem == nil {
		set.mem = memstore.New()
	}
	if set.op == nil {
		set.op = newProvider()
	}
	if set.encode == nil {
		set.encode = func(session.Session) (any, int64) { return nil, 0 }
	}
	if set.profile == "" {
		set.profile = "generic"
	}
	profile, ok := session.ProfileNamed(set.profile)
	if !ok {
		t.Fatalf("no profile %s", set.profile)
	}
	if set.custom != nil {
		profile = *set.custom
	}
	r := &rig{
		t: t, start: time.Now(), mem: set.mem, store: faultstore.New(set.mem), op: set.op,
		reg: prometheus.NewRegistry(), rev: &revoker{}, log: new(logbook.Book), policy: session.Policy{Threshold: set.threshold},
	}
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	r.cache, err = sessioncache.New(sessioncache.Options{
		Store: r.store, MaxBytes: 64 << 20, Life: 5 * time.Minute,
		Settings: sessioncache.Settings{Policy: r.policy, Encode: set.encode, EndsAccess: profile.EndsAccess},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.life = lifecycle.New(lifecycle.Options{
		Store: r.store, Cache: r.cache, Revoker: r.rev, Settings: lifecycle.Settings{Idle: set.idle}, Log: log,
		Metrics: lifecycle.NewMetrics(r.reg), Changed: func() { r.ref.Kick() },
	})
	r.ref = refresh.New(refresh.Options{
		Store: r.store, Provider: r.op, Cache: r.cache, Sessions: r.life, Owner: set.owner, MaxInFlight: set.inFlight,
		Settings: refresh.Settings{
			Profile: profile, Policy: r.policy, Jitter: set.jitter, Deadline: set.deadline, Lease: 3 * time.Second,
			Sweep: refresh.SweepOptions{CheckInterval: set.checkInterval, ActiveWithin: set.activeWithin, Rate: set.rate},
		},
		Log: log, Metrics: refresh.NewMetrics(r.reg),
	})
	return r
}

// close stops the process in order and checks what must hold in every test.
func (r *rig) close() {
	r.closeOnce.Do(func() {
		r.store.Mend()
		r.stopSweep()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.ref.Stop(ctx); err != nil {
			r.t.Errorf("stop: %v", err)
		}
		if err := r.life.Close(ctx); err != nil {
			r.t.Errorf("close life cycle: %v", err)
		}
		r.cache.Close()
	})
	if n := r.ref.UnderWay(); n != 0 {
		r.t.Errorf("%d flights are left behind", n)
	}
	if n := r.ref.SlotsTaken(); n != 0 {
		r.t.Errorf("%d slots were not returned", n)
	}
	if n := r.metric("bff_token_refresh_in_flight"); n != 0 {
		r.t.Errorf("in-flight gauge ends at %v", n)
	}
	if n := r.op.reused(); n != r.reuses {
		r.t.Errorf("the provider saw %d spent refresh tokens, want %d", n, r.reuses)
	}
	r.nothingSecret()
}

// sweep starts the sweep; close or stopSweep ends it.
func (r *rig) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	r.sweeping, r.swept = cancel, make(chan struct{})
	go func() { defer close(r.swept); r.ref.Run(ctx) }()
}

func (r *rig) stopSweep() {
	if r.sweeping != nil {
		r.sweeping()
		<-r.swept
		r.sweeping = nil
	}
}

// login makes a session whose access token lives for life from now.
func (r *rig) login(life time.Duration) session.Session {
	r.t.Helper()
	return r.loginWith(r.op.issue(life))
}

func (r *rig) loginWith(tok session.Token) session.Session {
	r.t.Helper()
	h := session.NewHandle()
	r.handles = append(r.handles, h)
	s := session.Session{
		ID: h.ID(), Revision: 1, App: "default", Provider: "https://op.example.com", Token: tok,
		Identity:  session.Identity{Subject: canary + "-sub", Email: canary + "@example.com", Name: canary + " name"},
		CreatedAt: time.Now(), EndsAt: time.Now().Add(8 * time.Hour),
	}
	s.SweepAt = r.policy.SweepAt(s)
	if err := r.life.Create(context.Background(), s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// view is what a request would see.
func (r *rig) view(id session.ID) *session.View {
	r.t.Helper()
	v, err := r.cache.Get(context.Background(), id)
	if err != nil {
		r.t.Fatalf("get view: %v", err)
	}
	return v
}

// wait joins the flight of what a request would see now.
func (r *rig) wait(id session.ID) (*session.View, error) {
	r.t.Helper()
	return r.waitFor(r.view(id))
}

// waitFor joins the flight of a request that saw v. It is patient, and yet ends:
// what is never answered is to be a failure, not a hanging test.
func (r *rig) waitFor(v *session.View) (*session.View, error) {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.ref.Wait(ctx, v)
}

const patience = 2 * time.Hour

// record is the truth.
func (r *rig) record(id session.ID) store.Record {
	r.t.Helper()
	rec, err := r.mem.Get(context.Background(), id)
	if err != nil {
		r.t.Fatalf("get record: %v", err)
	}
	return rec
}

// until lets fake time pass up to t and everything that is due by then happen.
func (r *rig) until(t time.Time) {
	time.Sleep(time.Until(t))
	synctest.Wait()
}

// pass lets d pass.
func (r *rig) pass(d time.Duration) { r.until(time.Now().Add(d)) }

// wantPosts fails unless the provider's ledger has n lines for id.
func (r *rig) wantPosts(id session.ID, n int) {
	r.t.Helper()
	if got := len(r.posts(id)); got != n {
		r.t.Errorf("the provider received %d POSTs, want %d: %+v", got, n, r.posts(id))
	}
}

// posts is the ledger of one session.
func (r *rig) posts(id session.ID) []post {
	var of []post
	for _, p := range r.op.ledger() {
		if p.id == id {
			of = append(of, p)
		}
	}
	return of
}

// wantEnded fails unless the session is over for every reader, with the reason.
func (r *rig) wantEnded(id session.ID, why session.Reason) {
	r.t.Helper()
	_, err := r.mem.Get(context.Background(), id)
	ended, ok := errors.AsType[*session.EndedError](err)
	if !ok || ended.Reason != why {
		r.t.Errorf("store says %v, want ended: %s", err, why)
	}
	if _, err := r.cache.Get(context.Background(), id); !errors.Is(err, session.ErrEnded) {
		r.t.Errorf("cache says %v, want ErrEnded", err)
	}
}

// wantRevision fails unless the store has it and nothing of a past attempt is left.
func (r *rig) wantRevision(id session.ID, rev session.Revision) {
	r.t.Helper()
	rec := r.record(id)
	if rec.Session.Revision != rev {
		r.t.Errorf("stored revision is %d, want %d", rec.Session.Revision, rev)
	}
	if rec.Attempt != nil || rec.InDoubt || rec.Failures != 0 || !rec.NotBefore.IsZero() {
		r.t.Errorf("a past attempt left something behind: %+v", rec)
	}
}

// failed is the refusal that all waiters share; the test ends when err is none.
func (r *rig) failed(err error) *session.RefreshError {
	r.t.Helper()
	f, ok := errors.AsType[*session.RefreshError](err)
	if !ok {
		r.t.Fatalf("got %v, want a RefreshError", err)
	}
	return f
}

// revoker remembers what the provider was told to revoke.
type revoker struct {
	mu     sync.Mutex
	tokens []string
}

func (r *revoker) Revoke(_ context.Context, s session.Session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = append(r.tokens, s.Token.Refresh.Reveal())
	return nil
}

func (r *revoker) revoked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.tokens...)
}
