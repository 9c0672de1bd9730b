package sessioncache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// lossy is a store that has lost a revision, or does not have it yet.
type lossy struct{ left session.Session }

func (l lossy) Get(context.Context, session.ID) (store.Record, error) {
	return store.Record{Session: l.left, Lost: 2, InDoubt: true}, session.ErrUnavailable
}

// TestALostRecord: what is remembered of a newer revision is served; else nobody is,
// the older one is not remembered, and whoever can settle it is told.
func TestALostRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := newSession(id(1, 1), 1)
		epoch := uint64(1)
		type lost struct {
			left  store.Record
			newer *session.View
		}
		var told []lost
		c, err := sessioncache.New(sessioncache.Options{
			Store: lossy{left}, MaxBytes: 16 << 20, Life: life,
			Settings: sessioncache.Settings{Encode: func(session.Session) (any, int64) { return nil, 0 }},
			Coherent: func() (uint64, bool) { return epoch, true },
			Lost:     func(left store.Record, newer *session.View) { told = append(told, lost{left, newer}) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		get := func() (*session.View, error) {
			v, err := c.Get(t.Context(), left.ID)
			synctest.Wait()
			return v, err
		}
		for range 2 {
			if v, err := get(); v != nil || !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("got %+v, %v, want ErrUnavailable", v, err)
			}
		}
		if len(told) != 2 || told[0].left.Session.Revision != 1 || told[0].newer != nil {
			t.Errorf("told %+v", told)
		}
		c.Publish(store.Record{Session: left, Lost: 2})
		synctest.Wait()
		if _, err := get(); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("a Lost record that was published: %v, want ErrUnavailable", err)
		}
		c.Publish(store.NewRecord(newSession(left.ID, 2)))
		synctest.Wait()
		epoch++ // what was remembered may have changed unheard, but is newer
		if v, err := get(); err != nil || v.Session.Revision != 2 {
			t.Errorf("got %+v, %v, want revision 2", v, err)
		}
		if last := told[len(told)-1]; last.newer == nil || last.newer.Session.Revision != 2 {
			t.Errorf("told %+v at last", last)
		}
		c.Changed(left.ID, 1) // somebody has stored another on top of what is left
		if v, err := get(); v != nil || !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("what is newer than what was stored: %+v, %v, want ErrUnavailable", v, err)
		}
		c.Publish(store.NewRecord(newSession(left.ID, 2)))
		synctest.Wait()
		c.Forget(left.ID)
		if v, err := get(); v != nil || err == nil {
			t.Errorf("after its end: %+v, %v", v, err)
		}
	})
}
