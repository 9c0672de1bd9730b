package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/sessioncache"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/prometheus/client_golang/prometheus"
)

// operatorOf is an operator of the app a, whose provider is p.
func operatorOf(t *testing.T, s lifecycle.Store) operator {
	t.Helper()
	cache, err := sessioncache.New(sessioncache.Options{
		Store: s, MaxBytes: 1 << 20, Life: time.Minute,
		Settings: sessioncache.Settings{Encode: func(session.Session) (any, int64) { return nil, 0 }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	log := slog.New(slog.DiscardHandler)
	life := lifecycle.New(lifecycle.Options{
		Store: s, Cache: cache, Settings: lifecycle.Settings{Idle: time.Hour}, Log: log, Metrics: lifecycle.NewMetrics(prometheus.NewRegistry()),
		Revoker: noRevoker{},
	})
	t.Cleanup(func() { _ = life.Close(context.Background()) })
	return operator{store: s, life: life, policy: func() session.Policy { return session.Policy{} }, app: "a", provider: "p", log: log, now: time.Now}
}

type noRevoker struct{}

func (noRevoker) Revoke(context.Context, session.Session) error { return nil }

func signIn(t *testing.T, s store.Store, user string, edit ...func(*session.Session)) session.ID {
	t.Helper()
	now := time.Now()
	ses := session.Session{
		ID: session.NewHandle().ID(), Revision: 1, App: "a", Provider: "p", Identity: session.Identity{Subject: user},
		Token: session.Token{Issued: now, Lifetime: time.Minute}, CreatedAt: now, EndsAt: now.Add(time.Hour),
	}
	for _, e := range edit {
		e(&ses)
	}
	if err := s.Create(t.Context(), ses); err != nil {
		t.Fatal(err)
	}
	return ses.ID
}

// A list goes through pages, and holds nothing of the store while its reader takes
// his time: he may even use it.
func TestAllGoesByPages(t *testing.T) {
	t.Parallel()
	mem := memstore.New()
	counted := faultstore.New(mem)
	want := make(map[string]bool)
	for i := range 3 * listPage {
		id := signIn(t, mem, fmt.Sprint(i))
		if i%3 == 0 {
			if _, err := mem.End(t.Context(), id, session.ReasonLogout, store.Cond{}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want[id.String()] = true
	}
	signIn(t, mem, "over", func(s *session.Session) { s.EndsAt = time.Now() }) // nobody has reaped it
	o := operatorOf(t, counted)
	told := 0
	for s, err := range o.All(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if s.State != admin.StateLive || s.Live == nil || !want[s.ID] {
			t.Fatalf("%+v is listed, or twice", s)
		}
		delete(want, s.ID)
		if told++; told == 10 && (counted.Calls(faultstore.Get) > listPage || counted.Calls(faultstore.List) > 1) {
			t.Errorf("%d sessions of %d pages were read for 10 lines", counted.Calls(faultstore.Get), counted.Calls(faultstore.List))
		}
		if told%100 == 0 {
			id := signIn(t, counted, "of the reader")
			if _, err := counted.End(t.Context(), id, session.ReasonLogout, store.Cond{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(want) > 0 || counted.Calls(faultstore.List) < 4 {
		t.Errorf("%d were left out, in %d pages", len(want), counted.Calls(faultstore.List))
	}
	for range o.All(t.Context(), "") {
		break // and nobody goes on behind it
	}
}

func TestAllMeetsTrouble(t *testing.T) {
	t.Parallel()
	mem := memstore.New()
	faulty := faultstore.New(mem)
	for range 5 {
		signIn(t, mem, "u")
	}
	o := operatorOf(t, faulty)
	count := func() (states map[string]int, failed error) {
		states = make(map[string]int)
		for s, err := range o.All(t.Context(), "") {
			if failed != nil {
				t.Fatal("something comes behind an error")
			}
			if failed = err; err == nil {
				states[s.State]++
			}
		}
		return states, failed
	}
	faulty.Set(faultstore.Times(2, faultstore.Answer(store.ErrUnreadable)), faultstore.Get)
	if states, err := count(); err != nil || states[admin.StateUnreadable] != 2 || states[admin.StateLive] != 3 {
		t.Errorf("two cannot be read: %v, %v", states, err)
	}
	faulty.Set(faultstore.Times(2, faultstore.Answer(session.ErrNotFound)), faultstore.Get)
	if states, err := count(); err != nil || states[admin.StateLive] != 3 {
		t.Errorf("two have gone meanwhile: %v, %v", states, err)
	}
	faulty.Mend()
	for _, op := range []faultstore.Op{faultstore.Get, faultstore.List} {
		faulty.Set(faultstore.Down, op)
		if _, err := count(); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("without %s: %v", op, err)
		}
		faulty.Mend()
	}
}

// What cannot be read, with these keys, is not for another try to mend.
func TestOneCannotBeRead(t *testing.T) {
	t.Parallel()
	mem := memstore.New()
	faulty := faultstore.New(mem)
	id := signIn(t, mem, "u")
	o := operatorOf(t, faulty)
	faulty.Set(faultstore.Answer(fmt.Errorf("decode: %w", store.ErrUnreadable)), faultstore.Get, faultstore.End)
	_, err := o.View(t.Context(), id)
	for what, err := range map[string]error{"view": err, "refresh": o.Refresh(t.Context(), id), "revoke": o.Revoke(t.Context(), id)} {
		if !errors.Is(err, admin.ErrUnreadable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The subject means the user of this app and provider, and a session that will not
// end keeps no other alive.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	mem := memstore.New()
	faulty := faultstore.New(mem)
	o := operatorOf(t, faulty)
	mine := []session.ID{signIn(t, mem, "u"), signIn(t, mem, "u"), signIn(t, mem, "u")}
	others := []session.ID{
		signIn(t, mem, "U"),
		signIn(t, mem, "u", func(s *session.Session) { s.App = "b" }),
		signIn(t, mem, "u", func(s *session.Session) { s.Provider = "q" }),
	}
	faulty.Set(faultstore.Times(1, faultstore.Down), faultstore.End)
	if n, err := o.RevokeAll(t.Context(), "u"); n != 2 || !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("one will not end: %d, %v", n, err)
	}
	if n, err := o.RevokeAll(t.Context(), "u"); n != 1 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	for _, id := range mine {
		_, err := mem.Get(t.Context(), id)
		if end, ok := errors.AsType[*session.EndedError](err); !ok || end.Reason != session.ReasonRevoked {
			t.Errorf("%v, want revoked", err)
		}
	}
	for i, id := range others {
		if _, err := mem.Get(t.Context(), id); err != nil {
			t.Errorf("another one's, %d: %v", i, err)
		}
	}
	faulty.Set(faultstore.Down, faultstore.Find)
	if n, err := o.RevokeAll(t.Context(), "u"); n != 0 || !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("nobody can be found: %d, %v", n, err)
	}
}
