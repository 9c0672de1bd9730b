package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
)

func crowd(n int) *sessions {
	s := known()
	for i := range n {
		s.live = append(s.live, admin.Session{ID: fmt.Sprintf("%012x", i), State: admin.StateLive, AsOf: noon, Live: &admin.Live{Revision: 1}, History: []admin.Outcome{}})
	}
	return s
}

// listed is what a client gets of s.
func listed(t *testing.T, s *sessions, user string, limit int) (ids []string, more bool, err error) {
	t.Helper()
	more, err = client(t, handler(s)).List(t.Context(), user, limit, func(one admin.Session) error {
		ids = append(ids, one.ID)
		return nil
	})
	return ids, more, err
}

func TestList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		have, limit, want int
		more              bool
	}{{0, 0, 0, false}, {0, 1, 0, false}, {3, 0, 3, false}, {3, 3, 3, false}, {3, 2, 2, true}, {5000, 4999, 4999, true}} {
		s := crowd(tt.have)
		ids, more, err := listed(t, s, "", tt.limit)
		if err != nil || len(ids) != tt.want || more != tt.more || s.over != tt.more {
			t.Errorf("%d of %d: %d, more: %t, %v; the rest was let be: %t", tt.limit, tt.have, len(ids), more, err, s.over)
		}
	}
	s := crowd(2)
	if ids, _, err := listed(t, s, `a"b\c`, 0); err != nil || s.user != `a"b\c` || strings.Join(ids, " ") != "000000000000 000000000001" {
		t.Errorf("of a user: %q, %q, %v", s.user, ids, err)
	}
	enough := errors.New("enough")
	_, err := client(t, handler(s)).List(t.Context(), "", 0, func(admin.Session) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("the caller's own error: %v", err)
	}
}

func TestListMeetsTrouble(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 2} {
		s := crowd(n)
		s.all = fmt.Errorf("list: %w", session.ErrUnavailable)
		ids, more, err := listed(t, s, "", 0)
		p, ok := errors.AsType[*admin.Problem](err)
		if !ok || p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "try again") || len(ids) != n || more {
			t.Errorf("behind %d: %d, %v", n, len(ids), err)
		}
	}
	for name, answer := range map[string]string{
		"nothing": "", "no last line": `{"session":{"id":"3f2a9c01d4be"}}` + "\n", "half a line": `{"session":`,
		"another JSON": `{"id":"3f2a9c01d4be"}` + "\n", "a page": "<html>\n", "too long a line": strings.Repeat(" ", 2<<20) + "\n",
	} {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		_, err := c.List(t.Context(), "", 0, func(admin.Session) error { return nil })
		if _, ok := errors.AsType[*admin.Problem](err); err == nil || ok {
			t.Errorf("%s: %v, want an error that is no problem of lamplighter", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client(t, handler(crowd(100_000))).List(ctx, "", 0, func(admin.Session) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
}

// A query that is not understood must not be taken for one about everybody.
func TestQueries(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `[]`, `{"usr":"a"}`, `{"user":1}`, `{"limit":-1}`, `{"user":"a"}{}`, `{"user":"` + strings.Repeat("a", 64<<10) + `"}`} {
		for _, path := range []string{"/sessions/list", "/sessions/revoke"} {
			s := crowd(1)
			if wantProblem(t, askWith(s, http.MethodPost, path, body), 400, "body"); s.user != "" || s.over {
				t.Errorf("%s with %.40q: asked for %q", path, body, s.user)
			}
		}
	}
	for _, body := range []string{`{}`, `{"user":""}`, `{"user":"a","limit":1}`} {
		s := crowd(1)
		s.user = "not asked"
		if wantProblem(t, askWith(s, http.MethodPost, "/sessions/revoke", body), 400, "user"); s.user != "not asked" {
			t.Errorf("revoke with %s: done", body)
		}
	}
	for _, path := range []string{"/sessions/list", "/sessions/revoke"} {
		wantProblem(t, ask(known(), http.MethodGet, path), 400, "hex digits") // the name of a session
		s := crowd(1)
		if wantProblem(t, askWith(s, http.MethodPost, path, `{"user":"a"}`, "Origin: https://evil.example"), 403, "another site"); s.user != "" {
			t.Errorf("%s from another site: done", path)
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	const path = "/sessions/3f2a9c01d4be/revoke"
	s := known()
	c := client(t, handler(s))
	if got, err := c.Revoke(t.Context(), "3f2a9c01d4be"); err != nil || s.revoked != 1 || got.Ended == nil {
		t.Errorf("%+v, %v, want the session as it has ended", got, err)
	}
	if w := ask(known(), http.MethodGet, path); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d: a link must not", w.Code)
	}
	wantProblem(t, ask(&sessions{ids: known().ids, revoke: session.ErrUnavailable}, http.MethodPost, path), 503, "3f2a9c01d4be", "try again")
	wantProblem(t, ask(&sessions{ids: known().ids, revoke: session.ErrNotFound}, http.MethodPost, path), 404, "3f2a9c01d4be")
	wantProblem(t, ask(known(), http.MethodPost, "/sessions/77777777/revoke"), 409, "77777777aaaa")
}

func TestRevokeAll(t *testing.T) {
	t.Parallel()
	s := crowd(3)
	c := client(t, handler(s))
	if n, err := c.RevokeAll(t.Context(), "ada"); err != nil || n != 3 || s.user != "ada" {
		t.Errorf("%d of %q, %v", n, s.user, err)
	}
	s.all = session.ErrUnavailable
	_, err := c.RevokeAll(t.Context(), "ada")
	if p, ok := errors.AsType[*admin.Problem](err); !ok || p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Detail, "3 sessions") || strings.Contains(p.Detail, "ada") {
		t.Errorf("half-way: %v", err)
	}
	for _, answer := range []string{"", "{}x", "{}", `{"ended":-1}`, "<html>"} {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		if n, err := c.RevokeAll(t.Context(), "ada"); err == nil {
			t.Errorf("%q is taken for %d", answer, n)
		}
	}
}

// A list is one object a line, and what programs read of it is the session as it is shown.
func TestListIsLines(t *testing.T) {
	t.Parallel()
	w := askWith(crowd(2), http.MethodPost, "/sessions/list", `{}`)
	if w.Header().Get("Content-Type") != "application/x-ndjson" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
	lines := strings.Split(w.Body.String(), "\n")
	if len(lines) != 4 || lines[2] != `{"end":{"more":false}}` || lines[3] != "" {
		t.Fatalf("%q", lines)
	}
	var one struct{ Session admin.Session }
	if err := json.Unmarshal([]byte(lines[1]), &one); err != nil || one.Session.ID != "000000000001" || one.Session.Live == nil {
		t.Errorf("%s: %v", lines[1], err)
	}
}
