package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
)

// recorder is a testing.TB that takes failures down instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	stop     func()
}

type stopped struct{}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, s)
}
func (r *recorder) Helper()                           {}
func (r *recorder) Error(args ...any)                 { r.note(fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.note(fmt.Sprintf(format, args...))
	panic(stopped{})
}

// record runs one check and returns its failures.
func record(t *testing.T, c check, b Backend) (failures []string) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		defer func() {
			if e := recover(); e != nil && e != any(stopped{}) {
				panic(e)
			}
			failures = r.failures
		}()
		c.run(newProbe(r, b))
	})
	return failures
}

// flawed is memstore with one promise broken: hooks replace methods.
type flawed struct {
	*memstore.Store
	flaw
	stale *memstore.Store // what a restart finds, if not the latest
}

// flaw is how a store is broken; each hook replaces a method, nil leaves it.
type flaw struct {
	create func(*flawed, context.Context, session.Session) error
}

func (f *flawed) Create(ctx context.Context, s session.Session) error {
	if f.create != nil {
		return f.create(f, ctx, s)
	}
	return f.Store.Create(ctx, s)
}

// remember makes a restart forget what comes after.
func (f *flawed) remember() { f.stale = f.Restarted() }

func backend(fl flaw) Backend {
	return Backend{
		Open: func(testing.TB) Full { return &flawed{Store: memstore.New(), flaw: fl} },
		Restart: func(_ testing.TB, old Full) Full {
			o := old.(*flawed)
			if o.stale != nil {
				return &flawed{Store: o.stale.Restarted(), flaw: fl}
			}
			return &flawed{Store: o.Restarted(), flaw: fl}
		},
	}
}

// broken is one promise broken, and the checks that must see it.
type broken struct {
	name   string
	caught []string
	flaw   flaw
}

func brokenStores() []broken {
	return []broken{
		{"Create answers before it is durable", []string{"Create/is durable when it returns"}, flaw{
			create: func(f *flawed, ctx context.Context, s session.Session) error {
				f.remember()
				return f.Store.Create(ctx, s)
			}}},
		{"Create forgets a field", []string{"Create/writes revision 1"}, flaw{
			create: func(f *flawed, ctx context.Context, s session.Session) error {
				s.Identity.SID = ""
				return f.Store.Create(ctx, s)
			}}},
		{"Create takes a taken ID", []string{"Create/over a record is ErrExists", "Create/over a tombstone is ErrExists"}, flaw{
			create: func(f *flawed, ctx context.Context, s session.Session) error {
				if err := f.Store.Create(ctx, s); !errors.Is(err, session.ErrExists) {
					return err
				}
				return nil
			}}},
	}
}

func TestASoundStorePasses(t *testing.T) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if failures := record(t, c, backend(flaw{})); len(failures) > 0 {
				t.Errorf("the sound store fails: %s", strings.Join(failures, "\n"))
			}
		})
	}
}

func TestBrokenStoresAreCaught(t *testing.T) {
	all := checks()
	for _, b := range brokenStores() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range b.caught {
				i := slices.IndexFunc(all, func(c check) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("no check is named %q", name)
				}
				if len(record(t, all[i], backend(b.flaw))) == 0 {
					t.Errorf("%q passes", name)
				}
			}
		})
	}
}

// A check that nothing can fail promises nothing.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	caught := make(map[string]bool)
	for _, b := range brokenStores() {
		for _, name := range b.caught {
			caught[name] = true
		}
	}
	for _, c := range checks() {
		if !caught[c.name] {
			t.Errorf("no broken store shows that %q can fail", c.name)
		}
	}
}
