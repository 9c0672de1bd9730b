package rp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

func TestSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		ask := func(status int) map[string]any {
			t.Helper()
			resp := b.get("/auth/session")
			var got map[string]any
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != status || len(resp.Cookies()) != 0 {
				t.Fatalf("%d, %v, %v", resp.StatusCode, got, err)
			}
			return got
		}
		out := map[string]any{"signed_in": false}
		if got := ask(http.StatusUnauthorized); !reflect.DeepEqual(got, out) {
			t.Errorf("got %v", got)
		}
		b.login(p, "/")
		s := w.vault.sessions()[0]
		want := map[string]any{
			"signed_in": true, "expires_at": s.EndsAt.UTC().Format(time.RFC3339),
			"user": map[string]any{"sub": s.Identity.Subject, "email": "ada@example.com", "name": "ada"},
		}
		if got := ask(http.StatusOK); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		w.vault.outage(session.ErrUnavailable)
		if resp := b.get("/auth/session"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) != 0 {
			t.Errorf("with the store down: %d", resp.StatusCode)
		}
		w.vault.outage(nil)
		b.gone[cookieName] = time.Now().Add(24 * time.Hour) // a browser that keeps cookies for longer
		time.Sleep(8 * time.Hour)
		if got := ask(http.StatusUnauthorized); !reflect.DeepEqual(got, out) {
			t.Errorf("past the absolute end: %v", got)
		}
	})
}

func TestTwoHandlesAreNone(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	b.login(p, "/")
	mine, other := cookieName+"="+b.handle(), cookieName+"="+session.NewHandle().Reveal()
	for _, tt := range []struct {
		lines  []string
		status int
	}{
		{[]string{mine}, 200},
		{[]string{"a=b; " + mine + "; c=d"}, 200},
		{[]string{mine + "; " + mine}, 200},
		{[]string{mine, mine}, 200},
		{[]string{cookieName + "=junk", mine}, 200},
		{[]string{mine + "; " + other}, 401},
		{[]string{other, mine}, 401},
		{[]string{other}, 401},
		{[]string{cookieName + "=junk"}, 401},
	} {
		r := httptest.NewRequest(http.MethodGet, "/auth/session", nil)
		r.Header["Cookie"] = tt.lines
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != tt.status {
			t.Errorf("%d lines: %d, want %d", len(tt.lines), rec.Code, tt.status)
		}
	}
}
