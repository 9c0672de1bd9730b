package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// fields lists the index paths of the fields of t that hold something
// themselves.
func fields(t reflect.Type) (paths [][]int) {
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[session.Secret]() {
		return [][]int{nil}
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("store") == "-" {
			continue
		}
		for _, rest := range fields(t.Field(i).Type) {
			paths = append(paths, append([]int{i}, rest...))
		}
	}
	return paths
}

// forgetful makes a store a field that a restart loses, one store a field of T.
func forgetful[T any](field func(*store.Record) *T, caught string) (all []broken) {
	t := reflect.TypeFor[T]()
	for _, path := range fields(t) {
		all = append(all, broken{
			fmt.Sprintf("a restart forgets field %v of %s, %s", path, t, t.FieldByIndex(path).Name),
			afterRestart(func(r *store.Record) {
				if p := field(r); p != nil {
					reflect.ValueOf(p).Elem().FieldByIndex(path).SetZero()
				}
			}),
			[]string{caught},
		})
	}
	return all
}

// afterRestart makes Get show something else from a restart on.
func afterRestart(show func(*store.Record)) flaw {
	return flaw{method: "Get", after: func(f *flawed, c *call) {
		if f.restarted && c.err == nil {
			show(&c.r)
		}
	}}
}

func brokenRestart() []broken {
	const ofRecord = "Restart/keeps every field of a Record"
	return slices.Concat(
		forgetful(func(r *store.Record) *session.Session { return &r.Session }, "Restart/keeps every field of a Session, created or committed"),
		forgetful(func(r *store.Record) *store.Record { return r }, ofRecord),
		forgetful(func(r *store.Record) *store.Attempt { return r.Attempt }, ofRecord),
		[]broken{
			{
				"a restart rounds times to the microsecond",
				afterRestart(func(r *store.Record) { r.Session.Token.Issued = r.Session.Token.Issued.Truncate(time.Microsecond) }),
				[]string{"Restart/keeps every field of a Session, created or committed"},
			},
			{
				"a restart makes the zero time an epoch",
				afterRestart(func(r *store.Record) {
					if r.DueAt.IsZero() {
						r.DueAt = time.Unix(0, 0)
					}
				}),
				[]string{"Restart/keeps absent what is absent"},
			},
			{
				"a restart finds one session under every name",
				flaw{method: "Get", after: func(f *flawed, c *call) {
					if f.restarted && f.kept.r.Session.Revision == 0 {
						f.kept.r = c.r
					} else if f.restarted {
						c.r = f.kept.r
					}
				}},
				[]string{"Restart/keeps sessions apart"},
			},
			{
				"a restart closes attempts",
				afterRestart(func(r *store.Record) { r.Attempt = nil }),
				[]string{"Crash/after Begin, the POST or the answer is the same open attempt, in doubt until ReplayAt"},
			},
			{
				"a restart ends the doubt",
				afterRestart(func(r *store.Record) { r.InDoubt = false }),
				[]string{"Crash/of a replay's owner is in doubt still", "Doubt/only Commit and End clear it"},
			},
		},
	)
}

func brokenErrors() (all []broken) {
	for _, m := range methods() {
		caught := []string{"Errors/" + m.name + " with a context that is over is ErrUnavailable"}
		all = append(all,
			broken{m.name + " ignores its context", flaw{method: m.name, before: func(_ *flawed, c *call) { c.ctx = context.Background() }}, caught},
			broken{m.name + " answers with the context's own error", turn(m.name, session.ErrUnavailable, context.Canceled), caught},
			broken{m.name + " answers with the context's cause", flaw{method: m.name, after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrUnavailable) {
					c.err = fmt.Errorf("%w: %w", session.ErrUnavailable, context.Cause(c.ctx))
				}
			}}, caught},
		)
	}
	sentinels := []string{"Errors/only one of the sentinels leaves a store"}
	return append(all,
		broken{"Get answers with an error of its own", turn("Get", session.ErrNotFound, errors.New("no such key")), sentinels},
		broken{"Extend answers with two sentinels at once", turn("Extend", session.ErrMoved, errors.Join(session.ErrMoved, session.ErrBusy)), sentinels},
		broken{"Begin answers ErrEnded without what it knows", turn("Begin", session.ErrEnded, session.ErrEnded), sentinels},
	)
}
