package lifecycle_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is in every secret and personal string of these tests.
const canary = "canary"

const idle = time.Hour

// rig is a life cycle over a store and a real cache, in a bubble of fake time.
type rig struct {
	t       *testing.T
	mem     *memstore.Store   // the truth
	store   *faultstore.Store // the same, as the life cycle sees it
	cache   *sessioncache.Cache
	life    *lifecycle.Lifecycle
	revoker *revoker
	reg     *prometheus.Registry
	log     *logbook.Book
	changed func() int
	handles []session.Handle
	end     sync.Once
	stop    func()
}

func play(t *testing.T, f func(*rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memstore.New())
		defer r.close()
		f(r)
	})
}

func newRig(t *testing.T, mem *memstore.Store) *rig {
	t.Helper()
	faulty := faultstore.New(mem)
	return newRigOver(t, mem, faulty, faulty)
}

// newRigOver gives the life cycle seen, which ends up in faulty and so in mem.
func newRigOver(t *testing.T, mem *memstore.Store, faulty *faultstore.Store, seen lifecycle.Store, change ...func(*lifecycle.Options)) *rig {
	t.Helper()
	r := &rig{
		t: t, mem: mem, store: faulty, revoker: &revoker{}, reg: prometheus.NewRegistry(), log: new(logbook.Book), stop: func() {},
	}
	var err error
	r.cache, err = sessioncache.New(sessioncache.Options{
		Store: r.store, MaxBytes: 16 << 20, Life: 5 * time.Minute,
		Settings: sessioncache.Settings{
			Policy: session.Policy{Threshold: 300 * time.Second}, Encode: func(session.Session) (any, int64) { return nil, 0 },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	changes := 0
	r.changed = func() int { mu.Lock(); defer mu.Unlock(); return changes }
	o := lifecycle.Options{
		Store: seen, Cache: r.cache, Revoker: r.revoker, Settings: lifecycle.Settings{Idle: idle}, Metrics: lifecycle.NewMetrics(r.reg),
		Log:     slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Changed: func() { mu.Lock(); defer mu.Unlock(); changes++ },
	}
	for _, c := range change {
		c(&o)
	}
	r.life = lifecycle.New(o)
	return r
}

// run starts the periodic work.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.life.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
}

func (r *rig) close() {
	r.end.Do(func() {
		r.store.Mend()
		r.stop()
		if err := r.life.Close(context.Background()); err != nil {
			r.t.Errorf("close: %v", err)
		}
		r.cache.Close()
	})
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	said := r.log.String()
	for _, f := range families {
		said += f.String()
	}
	secrets := []string{canary, "CANARY"} // all at once: there are thousands
	for _, h := range r.handles {
		id := h.ID()
		secrets = append(secrets, h.Reveal(), "HANDLE", hex.EncodeToString(id[:]), "ID")
	}
	if bare := strings.NewReplacer(secrets...).Replace(said); bare != said {
		r.t.Fatalf("log or metrics hold what they must not:\n%s", bare)
	}
}

// login creates a session that is used now.
func (r *rig) login() session.Session {
	r.t.Helper()
	s := r.newSession()
	if err := r.life.Create(context.Background(), s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) newSession() session.Session {
	h := session.NewHandle()
	r.handles = append(r.handles, h)
	now := time.Now()
	return session.Session{
		ID: h.ID(), Revision: 1, App: "default", Provider: "https://op.example.com",
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret(canary + "-access")},
			Refresh: session.RefreshToken{Secret: session.NewSecret(canary + "-refresh-" + h.Reveal())},
			ID:      session.IDToken{Secret: session.NewSecret(canary + "-id")},
			Issued:  now, Lifetime: 10 * time.Minute,
		},
		Identity:  session.Identity{Subject: canary + "-sub", Email: canary + "@example.com", Name: canary + " name"},
		CreatedAt: now, EndsAt: now.Add(8 * time.Hour), SweepAt: now.Add(6 * time.Minute),
	}
}

func (r *rig) view(id session.ID) *session.View {
	r.t.Helper()
	v, err := r.cache.Get(context.Background(), id)
	if err != nil {
		r.t.Fatalf("get view: %v", err)
	}
	return v
}

// use is a request by a reader that has just looked the session up.
func (r *rig) use(id session.ID) error {
	r.t.Helper()
	return r.life.Use(context.Background(), r.view(id), time.Now())
}

func (r *rig) mustUse(id session.ID) {
	r.t.Helper()
	if err := r.use(id); err != nil {
		r.t.Fatalf("use: %v", err)
	}
}

// used is the last use as the store knows it.
func (r *rig) used(id session.ID) time.Time {
	r.t.Helper()
	rec, err := r.mem.Get(context.Background(), id)
	if err != nil {
		r.t.Fatalf("get record: %v", err)
	}
	return rec.Used
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
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

func (r *rig) wantAlive(id session.ID) {
	r.t.Helper()
	if _, err := r.mem.Get(context.Background(), id); err != nil {
		r.t.Errorf("store says %v, want the session alive", err)
	}
	if _, err := r.cache.Get(context.Background(), id); err != nil {
		r.t.Errorf("cache says %v, want the session alive", err)
	}
}

// metric is a counter's value, that of one label value if it is given.
func (r *rig) metric(name string, label ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(label) == 0 || m.GetLabel()[0].GetValue() == label[0]) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// revoker is the provider's revocation endpoint: it fails as often as it is
// told, and may hold a call until its caller gives up.
type revoker struct {
	mu    sync.Mutex
	fail  int
	hold  time.Duration
	calls []revocation
}

type revocation struct {
	at    time.Time
	token string
}

func (r *revoker) Revoke(ctx context.Context, s session.Session) error {
	r.mu.Lock()
	r.calls = append(r.calls, revocation{time.Now(), s.Token.Refresh.Reveal()})
	r.fail--
	failing, hold := r.fail >= 0, r.hold
	r.mu.Unlock()
	if hold > 0 { // a timer of zero crashes the race detector in a bubble: go.dev/issue/78156
		select {
		case <-time.After(hold):
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if failing {
		return errors.New("revocation endpoint answered 503")
	}
	return nil
}

func (r *revoker) set(fail int, hold time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail, r.hold = fail, hold
}

func (r *revoker) seen() []revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]revocation(nil), r.calls...)
}
