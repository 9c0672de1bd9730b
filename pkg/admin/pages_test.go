package admin_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// sessions is an admin.Sessions by a script.
type sessions struct {
	ids       []session.ID
	ended     bool
	lookup    error // of each method
	view      error
	refresh   error
	revoke    error
	refreshed int
	revoked   int

	live []admin.Session // of All
	all  error           // behind the last of them
	user string          // that was asked for
	over bool            // All was told that it is enough
}

func (s *sessions) Lookup(_ context.Context, prefix []byte, limit int) (ids []session.ID, _ error) {
	for _, id := range s.ids {
		if bytes.HasPrefix(id[:], prefix) && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	return ids, s.lookup
}

func (s *sessions) View(_ context.Context, id session.ID) (admin.Session, error) {
	v := admin.Session{ID: id.String(), AsOf: noon, History: []admin.Outcome{}}
	if s.ended {
		v.State, v.Ended = admin.StateEnded, &admin.Ended{Reason: session.ReasonDead, Why: admin.Why(session.ReasonDead), EndedAt: noon}
	} else {
		v.State, v.Live = admin.StateLive, &admin.Live{Revision: uint64(1 + s.refreshed)}
	}
	return v, s.view
}

func (s *sessions) Refresh(context.Context, session.ID) error {
	s.refreshed++
	return s.refresh
}

func (s *sessions) Revoke(context.Context, session.ID) error {
	if s.revoke == nil {
		s.revoked++
		s.ended = true
	}
	return s.revoke
}

func (s *sessions) All(_ context.Context, user string) iter.Seq2[admin.Session, error] {
	s.user = user
	return func(yield func(admin.Session, error) bool) {
		for _, one := range s.live {
			if !yield(one, nil) {
				s.over = true
				return
			}
		}
		if s.all != nil {
			yield(admin.Session{}, s.all)
		}
	}
}

func (s *sessions) RevokeAll(_ context.Context, user string) (int, error) {
	s.user = user
	return len(s.live), s.all
}

func id(text string) session.ID {
	b, err := hex.DecodeString(text + strings.Repeat("0", 64-len(text)))
	if err != nil {
		panic(err)
	}
	return session.ID(b)
}

func known() *sessions {
	return &sessions{ids: []session.ID{id("3f2a9c01d4bea1"), id("77777777aaaa5"), id("77777777bbbb6")}}
}

func handler(s *sessions) http.Handler { return handlerAt(s, "lamp.example.com:9192") }

// handlerAt is that of a process without trouble whose listener is configured so.
func handlerAt(s *sessions, host string) http.Handler {
	return admin.Handler(admin.Options{
		Ready: func() error { return nil }, Trouble: func() string { return "" },
		Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Sessions: s, Crowd: s, Host: host,
	})
}

func ask(s *sessions, method, path string, header ...string) *httptest.ResponseRecorder {
	return askWith(s, method, path, "", header...)
}

func askWith(s *sessions, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9192"+path, strings.NewReader(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler(s).ServeHTTP(w, r)
	return w
}

// wantProblem expects an answer for programs that says so and so much, and no
// more of an id than the log has.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, says ...string) {
	t.Helper()
	var p admin.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title != http.StatusText(w.Code) {
		t.Errorf("%d %s is no problem: %v", w.Code, w.Body, err)
	}
	if w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %q, want %d", w.Code, w.Header(), status)
	}
	for _, want := range says {
		if !strings.Contains(p.Detail, want) {
			t.Errorf("%q does not say %q", p.Detail, want)
		}
	}
	for _, id := range known().ids {
		if strings.Contains(w.Body.String(), hex.EncodeToString(id[:])) {
			t.Errorf("a whole id is told: %s", w.Body)
		}
	}
}

func TestNamesOfSessions(t *testing.T) {
	t.Parallel()
	for name, short := range map[string]string{
		"3f2a9c01d4be": "3f2a9c01d4be", "3F2A9C01D4BE": "3f2a9c01d4be", // as in the log
		"3f2a9c01": "3f2a9c01d4be", "3f2a9c01d4bea": "3f2a9c01d4be",
		"77777777a": "77777777aaaa", "77777777b": "77777777bbbb", // an odd digit tells them apart
		"3f2a9c01d4bea1" + strings.Repeat("0", 50): "3f2a9c01d4be",
	} {
		w := ask(known(), http.MethodGet, "/sessions/"+name)
		var v admin.Session
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK || v.ID != short || v.State != admin.StateLive {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
	for name, want := range map[string]struct {
		status int
		says   []string
	}{
		"3f2a9c0":       {400, []string{"8 to 64 hex digits", "log"}},
		"3f2a9c0g":      {400, []string{"hex digits"}},
		"3f2a9c01x":     {400, []string{"hex digits"}},
		"3f2a9c01%2F..": {400, []string{"hex digits"}},
		"3f2a9c01d4bea1" + strings.Repeat("0", 51): {400, []string{"hex digits"}},
		"3f2a9c01d4bf": {404, []string{"3f2a9c01d4bf", "log", "session.absolute"}},
		"77777777c":    {404, []string{"77777777c"}},
		"77777777":     {409, []string{"77777777aaaa, 77777777bbbb"}},
	} {
		wantProblem(t, ask(known(), http.MethodGet, "/sessions/"+name), want.status, want.says...)
		s := known()
		wantProblem(t, ask(s, http.MethodPost, "/sessions/"+name+"/refresh"), want.status, want.says...)
		if s.refreshed != 0 {
			t.Errorf("%s: refreshed", name)
		}
	}
}

func TestTroubleOfTheStore(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("read: %w", session.ErrUnavailable)
	for name, s := range map[string]*sessions{"lookup": {lookup: down}, "view": {ids: known().ids, view: down}, "refresh": {ids: known().ids, refresh: down}} {
		if name != "refresh" {
			wantProblem(t, ask(s, http.MethodGet, "/sessions/3f2a9c01d4be"), 503, "3f2a9c01d4be", "try again", "store")
		}
		wantProblem(t, ask(s, http.MethodPost, "/sessions/3f2a9c01d4be/refresh"), 503, "3f2a9c01d4be", "try again", "store")
	}
	gone := &sessions{ids: known().ids, view: session.ErrNotFound} // between the look-up and the look
	wantProblem(t, ask(gone, http.MethodGet, "/sessions/3f2a9c01d4be"), 404, "3f2a9c01d4be")
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	const path = "/sessions/3f2a9c01d4be/refresh"
	s := known()
	w := ask(s, http.MethodPost, path)
	var v admin.Session
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK || s.refreshed != 1 || v.Live == nil || v.Revision != 2 {
		t.Errorf("%d %s, want the session as it is afterwards", w.Code, w.Body)
	}
	failed := func(err error, ended bool) *httptest.ResponseRecorder {
		return ask(&sessions{ids: known().ids, refresh: err, ended: ended}, http.MethodPost, path)
	}
	for class, says := range map[session.Class]string{
		session.Transient: "nothing is lost", session.Unknown: "may be spent", session.Dead: "lost answer",
		session.Misconfigured: "client_id", session.Refused: "log",
	} {
		wantProblem(t, failed(&session.RefreshError{Class: class, RetryAt: noon}, false), 409,
			"3f2a9c01d4be", "("+class.String()+")", says, "not before 2026-03-04T12:00:00Z")
	}
	wantProblem(t, failed(admin.ErrNotRefreshable, false), 409, "3f2a9c01d4be", "offline_access")
	wantProblem(t, failed(admin.ErrUnreadable, false), 409, "3f2a9c01d4be", "session.keys_file")
	wantProblem(t, failed(session.ErrEnded, true), 410, "3f2a9c01d4be", "2026-03-04T12:00:00Z", "refused the refresh token (dead)", "login")
	wantProblem(t, failed(&session.EndedError{Reason: session.ReasonDead}, true), 410, "(dead)")
	wantProblem(t, ask(&sessions{ids: known().ids, refresh: session.ErrEnded, view: session.ErrUnavailable}, http.MethodPost, path), 410, "has ended")
	wantProblem(t, failed(session.ErrNotFound, false), 404, "3f2a9c01d4be")
	wantProblem(t, failed(errors.New("anything else"), false), 503, "says nothing about the session")
}

// A page of another site that is open in the operator's browser.
func TestAnotherSiteRefreshesNothing(t *testing.T) {
	t.Parallel()
	const path = "/sessions/3f2a9c01d4be/refresh"
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
		s := known()
		if wantProblem(t, ask(s, http.MethodPost, path, header), 403, "another site"); s.refreshed != 0 {
			t.Errorf("%s: refreshed", header)
		}
	}
	for _, header := range []string{"User-Agent: curl", "Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:9192"} { // the host of the request
		if w := ask(known(), http.MethodPost, path, header); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", header, w.Code, w.Body)
		}
	}
	s := known()
	if w := ask(s, http.MethodGet, path); w.Code != http.StatusMethodNotAllowed || s.refreshed != 0 {
		t.Errorf("GET: %d, refreshed %d times: a link must not", w.Code, s.refreshed)
	}
}

func TestEveryReasonHasItsSentence(t *testing.T) {
	t.Parallel()
	other, said := admin.Why("other"), map[string]bool{}
	for _, r := range session.Reasons() {
		why := admin.Why(r)
		if why == other || said[why] {
			t.Errorf("%s: %q is said of another reason", r, why)
		}
		said[why] = true
	}
}
