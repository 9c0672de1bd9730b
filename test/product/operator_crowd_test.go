package product

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

const adminURL = "http://localhost:9192" // by which an operator asks

// post asks the admin listener; nothing of these sessions may be told.
func (w *world) post(path, body string, all ...*operator) (code int, said string) {
	w.t.Helper()
	for _, o := range all {
		o.note()
	}
	r := httptest.NewRecorder()
	w.app.AdminHandler().ServeHTTP(r, httptest.NewRequest(http.MethodPost, adminURL+path, strings.NewReader(body)))
	for _, o := range all {
		for secret, what := range o.secrets {
			if strings.Contains(r.Body.String(), secret) {
				w.t.Errorf("a %s is told: %s", what, r.Body)
			}
		}
	}
	return r.Code, r.Body.String()
}

// listed are the sessions of a list that came to its end, by their names.
func (w *world) listed(body string, all ...*operator) map[string]admin.Session {
	w.t.Helper()
	code, said := w.post("/sessions/list", body, all...)
	lines := strings.Split(strings.TrimSpace(said), "\n")
	found := make(map[string]admin.Session)
	for _, text := range lines[:len(lines)-1] {
		var line struct{ Session admin.Session }
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Session.Live == nil {
			w.t.Fatalf("%s: %v", text, err)
		}
		found[line.Session.ID] = line.Session
	}
	if code != http.StatusOK || len(found) != len(lines)-1 || lines[len(lines)-1] != `{"end":{"more":false}}` {
		w.t.Fatalf("%d %s", code, said)
	}
	return found
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An operator sees who is signed in, and ends all that one person has; nobody else
// notices.
func TestOperatorEndsAllSessionsOfAUser(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		t := w.t
		desk, phone, other := w.watched("ada"), w.watched("ada"), w.watched("bob")
		out := w.watched("eve")
		out.browser.Post("/auth/logout")
		r, err := w.store.Get(t.Context(), desk.id)
		if err != nil {
			t.Fatal(err)
		}
		ada := asJSON(t, map[string]string{"user": r.Session.Identity.Subject})
		all := []*operator{desk, phone, other, out}
		if found := w.listed(`{}`, all...); len(found) != 3 || found[out.id.String()].Live != nil {
			t.Errorf("everybody: %v", found)
		}
		if found := w.listed(ada, all...); len(found) != 2 || found[desk.id.String()].Live == nil || found[phone.id.String()].Live == nil {
			t.Errorf("ada's: %v", found)
		}
		if code, said := w.post("/sessions/list", `{"limit":2}`, all...); code != http.StatusOK || !strings.HasSuffix(said, "\n{\"end\":{\"more\":true}}\n") || strings.Count(said, "\n") != 3 {
			t.Errorf("two of three: %d %s", code, said)
		}
		for _, want := range []string{`{"ended":2}`, `{"ended":0}`} {
			code, said := w.post("/sessions/revoke", ada, all...)
			if code != http.StatusOK || strings.Join(strings.Fields(said), "") != want {
				t.Errorf("%d %s, want %s", code, said, want)
			}
		}
		for _, o := range []*operator{desk, phone} {
			if a := o.browser.Fetch("/"); a.Status != http.StatusUnauthorized {
				t.Errorf("ada is served: %v", a)
			}
			if s := o.show(); s.Ended == nil || s.Reason != session.ReasonRevoked || !strings.Contains(s.Why, "operator") {
				t.Errorf("%+v, want that an operator ended it", s)
			}
		}
		if !w.accepted(other.browser.Fetch("/").Bearer(t)) {
			t.Error("bob is not served")
		}
		if found := w.listed(ada, all...); len(found) != 0 {
			t.Errorf("ada's afterwards: %v", found)
		}
		time.Sleep(time.Second)
		if l := w.op.Ledger(); l.RevokedBy[op.ReasonRevocation] != 3 || l.ActiveFamilies != 1 { // ada's two, and eve's
			t.Errorf("revoked at the provider: %v, %d left", l.RevokedBy, l.ActiveFamilies)
		}
		if strings.Contains(w.log.String(), r.Session.Identity.Subject) {
			t.Error("the subject is in the log")
		}
	})
}

// One session ends for good, also while it is being refreshed.
func TestOperatorEndsASession(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		t := w.t
		o := w.watched("ada")
		for range 2 { // twice is once
			var s admin.Session
			o.ask(http.MethodPost, "/revoke", http.StatusOK, &s)
			if s.Ended == nil || s.Reason != session.ReasonRevoked || !s.EndedAt.Equal(o.show().EndedAt) {
				t.Errorf("%+v", s)
			}
			time.Sleep(time.Second)
		}
		if a := o.browser.Fetch("/"); a.Status != http.StatusUnauthorized {
			t.Errorf("ada is served: %v", a)
		}
		gone := w.watched("bob")
		gone.browser.Post("/auth/logout")
		var s admin.Session
		gone.ask(http.MethodPost, "/revoke", http.StatusOK, &s)
		if s.Ended == nil || s.Reason != session.ReasonLogout {
			t.Errorf("who has logged out: %+v", s)
		}
	})
}
