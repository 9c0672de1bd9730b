package sessioncache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// neighbour shares the ended set's shard with id(1, …), and not the cache key.
var neighbour = session.ID{1, 1}

// TestForgetIsFinal: at once, with the Set still on its way, and later.
func TestForgetIsFinal(t *testing.T) {
	t.Parallel()
	for name, settled := range map[string]bool{"settled": true, "with the Set on its way": false} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s := r.login(id(1, 1))
				r.want(s.ID, 1)
				if settled {
					synctest.Wait()
				}
				r.end(s.ID)
				for range 5 {
					r.wantErr(s.ID, session.ErrEnded)
					synctest.Wait()
				}
				time.Sleep(2 * life)
				r.wantErr(s.ID, session.ErrEnded) // by the store's tombstone now
			})
		})
	}
}

// TestLoaderRacesTheEnd, in order: a reader has loaded the record; the session
// ends, durably, and is forgotten; the reader publishes what it loaded.
func TestLoaderRacesTheEnd(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login(id(1, 1))
		gate := faultstore.NewGate()
		r.store.Set(gate.After, faultstore.Get)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if v, err := r.cache.Get(context.Background(), s.ID); !errors.Is(err, session.ErrEnded) {
					t.Errorf("the racing reader got %v, %v", v, err)
				}
			})
		}
		synctest.Wait() // they hold revision 1
		r.end(s.ID)
		gate.Open()
		wg.Wait()
		for range 3 {
			r.wantErr(s.ID, session.ErrEnded)
			synctest.Wait()
		}
	})
}

// TestPublishAfterForget: a flight that is late with its view.
func TestPublishAfterForget(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login(id(1, 1))
		r.want(s.ID, 1)
		r.end(s.ID)
		r.cache.Publish(store.NewRecord(newSession(s.ID, 2)))
		for range 3 {
			r.wantErr(s.ID, session.ErrEnded)
			synctest.Wait()
		}
	})
}

// TestEndedSetOutlivesTheEntry: a view published just before the grace is over
// cannot surface, for as long as it lives.
func TestEndedSetOutlivesTheEntry(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login(id(1, 1))
		r.end(s.ID)
		time.Sleep(grace - time.Second)
		r.cache.Publish(store.NewRecord(newSession(s.ID, 1))) // lives life more
		for range 100 {
			r.wantErr(s.ID, session.ErrEnded)
			time.Sleep(life / 80)
			r.cache.Forget(neighbour) // clears the set's shard of what is over
		}
	})
}

// TestEndedSetForgets: an end is remembered for the entry's life and the grace,
// not for ever: the set is empty when the last one is over.
func TestEndedSetForgets(t *testing.T) {
	play(t, func(r *rig) {
		who := id(1, 1)
		r.cache.Forget(who)
		r.cache.Publish(store.NewRecord(newSession(who, 1)))
		synctest.Wait()
		r.wantErr(who, session.ErrEnded)
		time.Sleep(life + grace + time.Second)
		r.cache.Forget(neighbour)
		r.cache.Publish(store.NewRecord(newSession(who, 1)))
		synctest.Wait()
		r.want(who, 1)
	})
}

// TestEndsUnderConcurrency: readers, publishers and ends at once; behind its
// end nobody gets a session.
func TestEndsUnderConcurrency(t *testing.T) {
	play(t, func(r *rig) {
		const sessions = 24
		var wg sync.WaitGroup
		for i := range sessions {
			s := r.login(session.ID{byte(i), 1})
			over := make(chan struct{})
			for range 2 {
				wg.Go(func() {
					for {
						var ended bool
						select {
						case <-over:
							ended = true
						default:
						}
						_, err := r.cache.Get(context.Background(), s.ID)
						if ended {
							if !errors.Is(err, session.ErrEnded) {
								t.Errorf("behind the end: %v", err)
							}
							return
						}
					}
				})
			}
			wg.Go(func() {
				for range 10 {
					r.cache.Publish(store.NewRecord(s))
				}
				r.end(s.ID)
				close(over)
			})
		}
		wg.Wait()
	})
}
