package redisstore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
	"github.com/lamplighter/lamplighter/pkg/store/storetest"
	"github.com/lamplighter/lamplighter/test/redistest"
)

// bridge is a Store for callers in a bubble of fake time: each call is made outside
// of it, and the bubble's clock stands still until the server has answered.
type bridge struct {
	out  chan<- func() // made outside of any bubble, as done is
	done chan chan struct{}
	now  *atomic.Int64 // the bubble's time, which cannot be read outside
	s    *redisstore.Store
}

func (b bridge) call(ctx context.Context, f func(context.Context)) {
	over := ctx.Err() != nil
	b.now.Store(time.Now().UnixNano())
	done := <-b.done
	b.out <- func() {
		real, cancel := context.WithCancel(context.Background())
		defer cancel()
		if over {
			cancel()
		}
		f(real)
		done <- struct{}{}
	}
	<-done
	b.done <- done
}

func (b bridge) Create(ctx context.Context, s session.Session) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Create(ctx, s) })
	return err
}

func (b bridge) Get(ctx context.Context, id session.ID) (r store.Record, err error) {
	b.call(ctx, func(ctx context.Context) { r, err = b.s.Get(ctx, id) })
	return r, err
}

func (b bridge) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (r store.Record, a store.Attempt, err error) {
	b.call(ctx, func(ctx context.Context) { r, a, err = b.s.Begin(ctx, id, rev, in) })
	return r, a, err
}

func (b bridge) Extend(ctx context.Context, a store.Attempt, lease time.Duration) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Extend(ctx, a, lease) })
	return err
}

func (b bridge) Commit(ctx context.Context, a store.Attempt, next session.Session) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Commit(ctx, a, next) })
	return err
}

func (b bridge) Fail(ctx context.Context, a store.Attempt, f session.Failure) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Fail(ctx, a, f) })
	return err
}

func (b bridge) End(ctx context.Context, id session.ID, why session.Reason, only store.Cond) (s session.Session, err error) {
	b.call(ctx, func(ctx context.Context) { s, err = b.s.End(ctx, id, why, only) })
	return s, err
}

func (b bridge) Due(ctx context.Context, before, usedSince time.Time, limit int) (page []store.DueEntry, next time.Time, err error) {
	b.call(ctx, func(ctx context.Context) { page, next, err = b.s.Due(ctx, before, usedSince, limit) })
	return page, next, err
}

func (b bridge) Touch(ctx context.Context, used map[session.ID]time.Time) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Touch(ctx, used) })
	return err
}

func (b bridge) Find(ctx context.Context, k session.SubjectKey) (ids []session.ID, err error) {
	b.call(ctx, func(ctx context.Context) { ids, err = b.s.Find(ctx, k) })
	return ids, err
}

func (b bridge) Lookup(ctx context.Context, prefix []byte, limit int) (ids []session.ID, err error) {
	b.call(ctx, func(ctx context.Context) { ids, err = b.s.Lookup(ctx, prefix, limit) })
	return ids, err
}

func (b bridge) List(ctx context.Context, after store.Cursor, limit int) (ids []session.ID, next store.Cursor, err error) {
	b.call(ctx, func(ctx context.Context) { ids, next, err = b.s.List(ctx, after, limit) })
	return ids, next, err
}

func (b bridge) Import(ctx context.Context, r store.Record) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Import(ctx, r) })
	return err
}

func (b bridge) Bury(ctx context.Context, id session.ID, t store.Tombstone) (err error) {
	b.call(ctx, func(ctx context.Context) { err = b.s.Bury(ctx, id, t) })
	return err
}

func (b bridge) Reap(ctx context.Context, now, unusedSince time.Time, limit int) (ids []session.ID, err error) {
	b.call(ctx, func(ctx context.Context) { ids, err = b.s.Reap(ctx, now, unusedSince, limit) })
	return ids, err
}

// ring is one key.
func ring(t testing.TB) *seal.Keyring {
	t.Helper()
	keys, err := seal.ParseKeys([]byte("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// contract runs the suite against the servers at addresses.
func contract(t *testing.T, addresses ...string) {
	const parallel = 128
	out, done := make(chan func()), make(chan chan struct{}, parallel)
	for range parallel {
		done <- make(chan struct{})
	}
	go func() { // ends with the test process: its calls end with their callers
		for f := range out {
			go f()
		}
	}()
	keys := ring(t)
	open := func(t testing.TB, prefix string) bridge {
		var s *redisstore.Store
		var err error
		b := bridge{out: out, done: done, now: new(atomic.Int64)}
		b.call(context.Background(), func(context.Context) {
			s, err = redisstore.Open(redisstore.Options{
				Addresses: addresses, Prefix: prefix, Keys: keys, Log: slog.New(slog.DiscardHandler),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.call(context.Background(), func(context.Context) { _ = s.Close() }) })
		b.s = s.At(func() time.Time { return time.Unix(0, b.now.Load()) })
		return b
	}
	storetest.Run(t, storetest.Backend{
		Open: func(t testing.TB) storetest.Full {
			return open(t, fmt.Sprintf("test-%s", rand.Text()))
		},
		Leased: true,
		Restart: func(t testing.TB, old storetest.Full) storetest.Full {
			time.Sleep(13 * time.Second) // whoever was there counts as alive so long
			return open(t, old.(bridge).s.Prefix())
		},
	})
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, redistest.Start(t).Addr)
}

func TestContractOnACluster(t *testing.T) {
	t.Parallel()
	var addresses []string
	for _, s := range redistest.Cluster(t, 3) {
		addresses = append(addresses, s.Addr)
	}
	contract(t, addresses...)
}
