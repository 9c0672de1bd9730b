package sessioncache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	life  = 5 * time.Minute
	grace = 30 * time.Second // for which the ended set outlives an entry
)

// rig is a cache over a store, in a bubble of fake time.
type rig struct {
	t     *testing.T
	mem   *memstore.Store
	store *faultstore.Store
	cache *sessioncache.Cache
}

func play(t *testing.T, f func(*rig)) { playSized(t, 16<<20, 0, f) }

// playSized gives the cache maxBytes, and each view headers of so many bytes.
func playSized(t *testing.T, maxBytes, headers int64, f func(*rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := memstore.New()
		r := &rig{t: t, mem: mem, store: faultstore.New(mem)}
		var err error
		r.cache, err = sessioncache.New(sessioncache.Options{
			Store: r.store, MaxBytes: maxBytes, Life: life,
			Settings: sessioncache.Settings{
				Policy: session.Policy{Threshold: 300 * time.Second},
				Encode: func(s session.Session) (any, int64) { return "for " + s.ID.String(), headers },
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.cache.Close()
		f(r)
	})
}

// id is one whose cache key is key; salt tells sessions under one key apart.
func id(key, salt byte) session.ID { return session.ID{0: key, 31: salt} }

func newSession(id session.ID, rev session.Revision) session.Session {
	now := time.Now()
	return session.Session{
		ID: id, Revision: rev, App: "default", CreatedAt: now, EndsAt: now.Add(8 * time.Hour),
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret("access")},
			Refresh: session.RefreshToken{Secret: session.NewSecret("refresh")},
			Issued:  now, Lifetime: 10 * time.Minute,
		},
	}
}

// login puts a session into the store, and not into the cache.
func (r *rig) login(id session.ID) session.Session {
	r.t.Helper()
	s := newSession(id, 1)
	if err := r.mem.Create(context.Background(), s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) want(id session.ID, rev session.Revision) *session.View {
	r.t.Helper()
	v, err := r.cache.Get(context.Background(), id)
	if err != nil {
		r.t.Fatalf("get: %v", err)
	}
	if v.Session.ID != id || v.Session.Revision != rev {
		r.t.Fatalf("got revision %d of %v, want %d of %v", v.Session.Revision, v.Session.ID, rev, id)
	}
	return v
}

func (r *rig) wantErr(id session.ID, want error) {
	r.t.Helper()
	if v, err := r.cache.Get(context.Background(), id); !errors.Is(err, want) {
		r.t.Fatalf("got %v, %v, want %v", v, err, want)
	}
}

// end is what the life cycle does: durable, then forgotten.
func (r *rig) end(id session.ID) {
	r.t.Helper()
	if _, err := r.mem.End(context.Background(), id, session.ReasonLogout, store.Cond{}); err != nil {
		r.t.Fatal(err)
	}
	r.cache.Forget(id)
}

// loads counts the reads of the store.
func (r *rig) loads() int { return r.store.Calls(faultstore.Get) }

func TestHitAsksNoStore(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login(id(1, 1))
		first := r.want(s.ID, 1)
		synctest.Wait()
		for range 100 {
			if v := r.want(s.ID, 1); v != first {
				t.Fatal("a hit made another view")
			}
		}
		if n := r.loads(); n != 1 {
			t.Errorf("the store was read %d times, want once", n)
		}
		if first.Headers != "for "+s.ID.String() || first.Size < 640 {
			t.Errorf("view: %+v", first)
		}
	})
}

// TestViewOfTheRecord: what a request needs to know of the last attempts.
func TestViewOfTheRecord(t *testing.T) {
	play(t, func(r *rig) {
		s := newSession(id(1, 1), 3)
		at := func(d time.Duration) time.Time { return time.Now().Add(d) }
		for name, tt := range map[string]struct {
			rec       store.Record
			notBefore time.Time
			inDoubt   bool
		}{
			"at rest":                     {store.Record{}, time.Time{}, false},
			"back-off":                    {store.Record{NotBefore: at(time.Second), LastClass: session.Transient}, at(time.Second), false},
			"in doubt":                    {store.Record{InDoubt: true, NotBefore: at(1), ReplayAt: at(time.Minute)}, at(time.Minute), true},
			"in doubt, the back-off more": {store.Record{InDoubt: true, NotBefore: at(time.Hour), ReplayAt: at(time.Minute)}, at(time.Hour), true},
			"a replay time without doubt": {store.Record{ReplayAt: at(time.Minute)}, time.Time{}, false},
			// Whoever asks joins the flight, or learns from Begin; the next attempt would be a replay.
			"under way": {store.Record{Attempt: &store.Attempt{}, ReplayAt: at(time.Minute)}, time.Time{}, true},
		} {
			tt.rec.Session, tt.rec.Used = s, at(-time.Minute)
			v := r.cache.Publish(tt.rec)
			if !v.NotBefore.Equal(tt.notBefore) || v.InDoubt != tt.inDoubt || v.LastClass != tt.rec.LastClass || !v.Used.Equal(tt.rec.Used) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

// TestNewerRevisionWins: in every order, warm and cold.
func TestNewerRevisionWins(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		order []session.Revision
		apart bool // each Set has settled before the next
	}{
		"up":               {[]session.Revision{1, 2, 3}, true},
		"down":             {[]session.Revision{3, 2, 1}, true},
		"mixed":            {[]session.Revision{2, 3, 1}, true},
		"up, at once":      {[]session.Revision{1, 2, 3}, false},
		"down, at once":    {[]session.Revision{3, 2, 1}, false},
		"mixed, at once":   {[]session.Revision{2, 3, 1}, false},
		"mixed 2, at once": {[]session.Revision{1, 3, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				for _, rev := range tt.order {
					v := r.cache.Publish(store.NewRecord(newSession(id(1, 1), rev)))
					if v.Session.Revision != rev {
						t.Errorf("publish returned revision %d for %d", v.Session.Revision, rev)
					}
					if tt.apart {
						synctest.Wait()
					}
				}
				synctest.Wait()
				r.want(id(1, 1), 3)
			})
		})
	}
}

// TestNewerRevisionWinsUnderConcurrency: readers never see a revision go back
// once the dust of a cold start has settled, and the newest stays.
func TestNewerRevisionWinsUnderConcurrency(t *testing.T) {
	play(t, func(r *rig) {
		const newest, publishers = 150, 8
		var wg sync.WaitGroup
		for p := range publishers {
			wg.Go(func() {
				order := rand.New(rand.NewPCG(uint64(p), 1)).Perm(newest)
				for _, i := range order {
					r.cache.Publish(store.NewRecord(newSession(id(1, 1), session.Revision(i+1))))
				}
			})
		}
		for range 4 {
			wg.Go(func() {
				var seen session.Revision
				for range 300 {
					v, err := r.cache.Get(context.Background(), id(1, 1))
					if errors.Is(err, session.ErrNotFound) { // not cached yet, and the store has none
						continue
					}
					if err != nil || v.Session.Revision < seen {
						t.Errorf("revision %v behind %d, %v", v, seen, err)
						return
					}
					seen = v.Session.Revision
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		r.want(id(1, 1), newest)
	})
}

// TestSameRevisionIsReplaced: a refusal changes no revision and must be seen.
func TestSameRevisionIsReplaced(t *testing.T) {
	play(t, func(r *rig) {
		rec := store.NewRecord(newSession(id(1, 1), 1))
		r.cache.Publish(rec)
		synctest.Wait()
		rec.NotBefore, rec.LastClass = time.Now().Add(time.Second), session.Refused
		r.cache.Publish(rec)
		if v := r.want(id(1, 1), 1); v.LastClass != session.Refused {
			t.Errorf("a reader sees %+v", v)
		}
	})
}

// TestErrorsAreTheStores: and nothing negative is cached.
func TestErrorsAreTheStores(t *testing.T) {
	play(t, func(r *rig) {
		who := id(1, 1)
		r.wantErr(who, session.ErrNotFound)
		r.store.Set(faultstore.Down, faultstore.Get)
		r.wantErr(who, session.ErrUnavailable)
		r.store.Mend()
		r.login(who)
		r.want(who, 1)
		synctest.Wait()
		r.store.Set(faultstore.Down, faultstore.Get)
		r.want(who, 1) // a hit needs no store
	})
}

// TestEntriesExpire: what another process did to the session is seen after Life.
func TestEntriesExpire(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login(id(1, 1))
		r.want(s.ID, 1)
		synctest.Wait()
		time.Sleep(life - time.Second)
		r.want(s.ID, 1)
		if n := r.loads(); n != 1 {
			t.Errorf("read %d times within the entry's life", n)
		}
		time.Sleep(2 * time.Second)
		r.want(s.ID, 1)
		if n := r.loads(); n != 2 {
			t.Errorf("read %d times, want a second time after the entry's life", n)
		}
	})
}

// TestDroppedSets: a cache that can hold nothing answers right, from the store.
func TestDroppedSets(t *testing.T) {
	playSized(t, 10_000, 20_000, func(r *rig) {
		s := r.login(id(1, 1))
		for i := range 10 {
			r.want(s.ID, 1)
			synctest.Wait()
			if n := r.loads(); n != i+1 {
				t.Fatalf("the store was read %d times for %d looks: the Set was not dropped", n, i+1)
			}
		}
		r.end(s.ID)
		r.wantErr(s.ID, session.ErrEnded)
	})
}

// TestEvictionUnderPressure: ten times more sessions than fit; every answer is
// right, and ended ones stay ended.
func TestEvictionUnderPressure(t *testing.T) {
	playSized(t, 100_000, 1000, func(r *rig) {
		var ids []session.ID
		for i := range 250 {
			s := r.login(session.ID{byte(i), 7, 7})
			ids = append(ids, s.ID)
		}
		for round := range 3 {
			for i, who := range ids {
				if round > 0 && i%3 == 0 {
					r.wantErr(who, session.ErrEnded)
					continue
				}
				r.want(who, 1)
				if i%3 == 0 {
					r.end(who)
				}
			}
		}
	})
}

// TestKeyCollision: two sessions whose IDs share the eight bytes of the key.
// Each gets its own view, whoever was there first; the end of one is not the
// end of the other.
func TestKeyCollision(t *testing.T) {
	play(t, func(r *rig) {
		a, b := r.login(id(1, 1)), r.login(id(1, 2))
		for range 3 {
			r.want(a.ID, 1)
			synctest.Wait()
			r.want(b.ID, 1)
			synctest.Wait()
		}
		// A higher revision of the one does not keep the other out.
		r.cache.Publish(store.NewRecord(newSession(a.ID, 9)))
		synctest.Wait()
		r.want(b.ID, 1)
		synctest.Wait()
		before := r.loads()
		r.want(b.ID, 1)
		if r.loads() != before {
			t.Error("a colliding higher revision keeps the other session out of the cache")
		}
		r.end(a.ID)
		r.wantErr(a.ID, session.ErrEnded)
		r.want(b.ID, 1)
		synctest.Wait()
		r.wantErr(a.ID, session.ErrEnded)
		r.want(b.ID, 1)
	})
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	play(t, func(r *rig) { // Close in play; goleak in TestMain and the bubble's end see what is left
		for i := range 50 {
			r.want(r.login(id(byte(i), 1)).ID, 1)
		}
	})
}

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, err := sessioncache.New(sessioncache.Options{MaxBytes: -1}); err == nil {
		t.Error("a negative memory limit was accepted")
	}
}
