package admin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/admin"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	var notReady error
	var trouble string
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("bff_x 1")) })
	h := admin.Handler(admin.Options{
		Ready: func() error { return notReady }, Trouble: func() string { return trouble }, Metrics: metrics, Sessions: &sessions{}, Crowd: &sessions{}, Host: "127.0.0.1:9192",
	})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	expect := func(path string, code int, body string) {
		t.Helper()
		if gotCode, gotBody := get(path); gotCode != code || gotBody != body {
			t.Errorf("GET %s = %d %q, want %d %q", path, gotCode, gotBody, code, body)
		}
	}
	expect("/livez", 200, "ok")
	expect("/readyz", 200, "ok")
	expect("/metrics", 200, "bff_x 1")
	trouble = "store trouble: it is away"
	expect("/readyz", 200, "ready, with store trouble: it is away")
	notReady = errors.New("provider not reached yet")
	expect("/readyz", 503, "not ready: provider not reached yet")
	expect("/livez", 200, "ok")
}

// Who scrapes may not look at sessions, or end them.
func TestHealthHasNoSessions(t *testing.T) {
	t.Parallel()
	h := admin.Health(admin.Options{Ready: func() error { return nil }, Trouble: func() string { return "" }, Metrics: http.NotFoundHandler()})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/readyz", 200}, {http.MethodGet, "/livez", 200}, {http.MethodGet, "/sessions/3f2a9c01d4be", 404},
		{http.MethodPost, "/sessions/list", 404}, {http.MethodPost, "/sessions/revoke", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s = %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}
