package sessioncache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

func settings(name string, threshold time.Duration) sessioncache.Settings {
	return sessioncache.Settings{
		Policy: session.Policy{Threshold: threshold}, Encode: func(session.Session) (any, int64) { return name, 0 },
	}
}

// No View that was made by the settings of before is served by those of after, whether
// it was there, was published, or was being read.
func TestConfigure(t *testing.T) {
	play(t, func(r *rig) {
		there, read := r.login(id(1, 1)), r.login(id(2, 1))
		r.want(there.ID, 1)
		gate := faultstore.NewGate()
		r.store.Set(gate.After, faultstore.Get)
		var late *session.View
		go func() { late, _ = r.cache.Get(context.Background(), read.ID) }()
		synctest.Wait()

		r.cache.Configure(settings("new", time.Minute))
		gate.Open()
		synctest.Wait()
		if late == nil {
			t.Fatal("what was being read has not come")
		}
		r.store.Mend()
		for range 2 {
			for _, s := range []session.Session{there, read} {
				if v := r.want(s.ID, 1); v.Headers != "new" || v.Window.DueAt != s.Token.Exp().Add(-time.Minute) {
					t.Errorf("%v is served as %v, due at %v", s.ID, v.Headers, v.Window.DueAt)
				}
				synctest.Wait()
			}
		}
		if n := r.loads(); n != 4 {
			t.Errorf("the store was read %d times, want once a session and settings", n)
		}
		if v := r.cache.Publish(store.NewRecord(newSession(id(3, 1), 1))); v.Headers != "new" {
			t.Errorf("published as %v", v.Headers)
		}
	})
}

// While the store is away, or has yet to take the newer revision, what is remembered is
// served as before the change; and never what has ended, or what another process changed.
func TestConfigureInAnOutage(t *testing.T) {
	play(t, func(r *rig) {
		kept, ended, changed := r.login(id(1, 1)), r.login(id(2, 1)), r.login(id(3, 1))
		for _, s := range []session.Session{kept, ended, changed} {
			r.want(s.ID, 1)
		}
		r.cache.Publish(store.NewRecord(newSession(kept.ID, 2))) // its Commit is not acknowledged
		synctest.Wait()
		r.cache.Configure(settings("new", time.Minute))
		r.want(kept.ID, 2)
		r.want(kept.ID, 2)

		r.store.Set(faultstore.Down, faultstore.Get)
		r.want(kept.ID, 2)
		r.want(changed.ID, 1)
		r.cache.Forget(ended.ID)
		r.cache.Changed(changed.ID, 2)
		if v, err := r.cache.Get(context.Background(), ended.ID); err == nil {
			t.Errorf("what has ended is served: %+v", v)
		}
		r.wantErr(changed.ID, session.ErrUnavailable)

		r.store.Mend()
		if v := r.want(changed.ID, 1); v.Headers != "new" {
			t.Errorf("when the store is back: %v", v.Headers)
		}
	})
}
