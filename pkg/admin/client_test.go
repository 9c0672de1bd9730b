package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
)

func client(t *testing.T, h http.Handler) *admin.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return admin.NewClient(server.Listener.Addr().String())
}

func TestClient(t *testing.T) {
	t.Parallel()
	s := known()
	c := client(t, handler(s))
	live, err := c.Session(t.Context(), "3F2A9C01D4BE")
	if err != nil || live.ID != "3f2a9c01d4be" || live.Live == nil || live.Revision != 1 || !live.AsOf.Equal(noon) {
		t.Errorf("a live one: %+v, %v", live, err)
	}
	if live, err = c.Refresh(t.Context(), "3f2a9c01d4be"); err != nil || live.Revision != 2 || s.refreshed != 1 {
		t.Errorf("refreshed: %+v, %v", live, err)
	}
	s.ended = true
	ended, err := c.Session(t.Context(), "3f2a9c01d4be")
	if err != nil || ended.Ended == nil || ended.Reason != session.ReasonDead || !ended.EndedAt.Equal(noon) {
		t.Errorf("an ended one: %+v, %v", ended, err)
	}
	for name, status := range map[string]int{"3f2a9c01d4bf": 404, "77777777": 409, "": 400, "..": 400, "3f2a9c01/../x": 400} {
		_, err := c.Session(t.Context(), name)
		if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Status != status {
			t.Errorf("%q: %v, want the problem %d", name, err, status)
		}
	}
}

// What answers at the address may be anything.
func TestClientMeetsStrangers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"nothing there": http.NotFound,
		"another JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"3f2a9c01d4be"}`)) },
		"both states":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"revision":1,"reason":"dead"}`)) },
		"a page":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"revision":1,"app":"` + strings.Repeat("a", 1<<20) + `"}`))
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("{"))
		},
		"an empty answer": func(http.ResponseWriter, *http.Request) {},
	} {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Errorf("%s: followed", name)
			}
			h(w, r)
		}))
		s, err := c.Session(t.Context(), "3f2a9c01d4be")
		if _, ok := errors.AsType[*admin.Problem](err); err == nil || ok {
			t.Errorf("%s: %+v, %v, want an error that is no problem of lamplighter", name, s, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client(t, handler(known())).Session(ctx, "3f2a9c01d4be"); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
}
