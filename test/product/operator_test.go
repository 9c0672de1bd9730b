package product

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// operator asks the admin listener about the session of one browser. What it is
// told must hold nothing of what the session has ever held.
type operator struct {
	w       *world
	browser *stack.Browser
	id      session.ID
	secrets map[string]string // secret → what it is
}

func (w *world) operator(user string) *operator {
	w.t.Helper()
	b := w.login(user)
	cookie := b.Cookie("__Host-bff_session")
	handle, err := session.ParseHandle(cookie)
	if err != nil {
		w.t.Fatal(err)
	}
	id := handle.ID()
	return &operator{w: w, browser: b, id: id, secrets: map[string]string{
		user: "user", cookie: "handle",
		hex.EncodeToString(id[:])[:13]: "more of the id than the log has", base64.RawURLEncoding.EncodeToString(id[:]): "id",
	}}
}

// note keeps what the session holds at this instant.
func (o *operator) note() {
	o.w.t.Helper()
	r, err := o.w.store.Get(context.Background(), o.id)
	if session.Gone(err) {
		return
	}
	s := r.Session
	for secret, what := range map[string]string{
		s.Token.Access.Reveal(): "access token", s.Token.Refresh.Reveal(): "refresh token", s.Token.ID.Reveal(): "ID token",
		s.Identity.Subject: "subject", s.Identity.SID: "sid", s.Identity.Email: "email", s.Identity.Name: "name",
	} {
		if secret != "" {
			o.secrets[secret] = what
		}
	}
}

func (o *operator) ask(method, path string, want int, v any) {
	o.w.t.Helper()
	o.note()
	w := httptest.NewRecorder()
	o.w.app.AdminHandler().ServeHTTP(w, httptest.NewRequest(method, adminURL+"/sessions/"+o.id.String()+path, nil))
	o.note()
	for secret, what := range o.secrets {
		if strings.Contains(w.Body.String(), secret) {
			o.w.t.Errorf("a %s is told: %s", what, w.Body)
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); w.Code != want || err != nil {
		o.w.t.Fatalf("%s %s: %d %s, want %d; %v", method, path, w.Code, w.Body, want, err)
	}
}

func (o *operator) show() (s admin.Session) {
	o.w.t.Helper()
	o.ask(http.MethodGet, "", http.StatusOK, &s)
	return s
}

// refreshed expects that the session is renewed, or has just been.
func (o *operator) refreshed(revision uint64, requests int) (s admin.Session) {
	o.w.t.Helper()
	o.ask(http.MethodPost, "/refresh", http.StatusOK, &s)
	if got := o.w.line.requests(); s.Live == nil || s.Revision != revision || got != requests {
		o.w.t.Fatalf("%d requests and %+v, want %d and revision %d", got, s.Live, requests, revision)
	}
	return s
}

// refused expects that it is not.
func (o *operator) refused(status int, says string, requests int) {
	o.w.t.Helper()
	var p admin.Problem
	o.ask(http.MethodPost, "/refresh", status, &p)
	if got := o.w.line.requests(); !strings.Contains(p.Detail, says) || got != requests {
		o.w.t.Fatalf("%d requests and %q, want %d and %q", got, p.Detail, requests, says)
	}
}

// ended expects the end, after a last refresh of that class.
func (o *operator) ended(why session.Reason, last string, replay bool) {
	o.w.t.Helper()
	s := o.show()
	if s.Ended == nil || s.Reason != why || s.EndedAt.After(s.AsOf) || s.Why != admin.Why(why) {
		o.w.t.Fatalf("%+v, want ended: %s", s, why)
	}
	if n := len(s.History); n == 0 || s.History[n-1].Class != last || s.History[n-1].Replay != replay {
		o.w.t.Errorf("history %+v, want %s as the last, replay %t", s.History, last, replay)
	}
	o.refused(http.StatusGone, string(why), o.w.line.requests())
}

func (w *world) watched(user string) *operator { return w.operator("canary-" + user) }

var operated = options{
	life: time.Minute, config: "sweep: {enabled: false}", provider: "scopes: [openid, profile, email, offline_access]",
}

// One session, from the login to its end, as an operator sees it.
func TestOperatorFollowsASession(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		t := w.t
		o := w.watched("ada")
		if s := o.show(); s.Live == nil || s.Revision != 1 || s.AccessToken.Freshness != "fresh" || !s.Refreshable || len(s.History) != 0 || s.Attempt != nil {
			t.Errorf("after the login: %+v", s)
		}
		o.refreshed(1, 0) // the token is as new as one from a refresh would be
		time.Sleep(45 * time.Second)
		now := time.Now()
		page := o.browser.Fetch("/auth/session") // no use
		if s := o.show(); page.Status != http.StatusOK || s.AccessToken.Freshness != "due" || !s.UsedAt.Before(now) {
			t.Errorf("due: %+v", s)
		}
		s := o.refreshed(2, 1)
		if n := len(s.History); n != 1 || s.History[0].By != "operator" || s.History[0].Class != "renewed" || s.History[0].Revision != 1 || s.AccessToken.Freshness != "fresh" {
			t.Errorf("after a forced refresh: %+v", s)
		}
		if !w.accepted(o.browser.Fetch("/").Bearer(t)) {
			t.Error("the new token is not served")
		}
		if used := o.show().UsedAt; used.Before(now) {
			t.Errorf("last use %v, before that of %v, which is not in the store yet", used, now)
		}

		time.Sleep(11 * time.Second)
		w.line.set(answers(503, ""))
		o.refused(http.StatusConflict, "transient", 2)
		if s := o.show(); s.Failures != 1 || s.LastClass != "transient" || !s.NotBefore.After(s.AsOf) || s.InDoubt {
			t.Errorf("after a failure: %+v", s)
		}
		w.line.set(nil)
		o.refreshed(3, 3) // back-off or not

		time.Sleep(11 * time.Second)
		w.line.once(cutAfter)
		o.refused(http.StatusConflict, "may be spent", 4)
		o.refused(http.StatusConflict, "may be spent", 4) // a doubt holds an operator back too
		if s := o.show(); !s.InDoubt || !s.ReplayAt.After(s.AsOf) || s.LastClass != "unknown" || s.Revision != 3 {
			t.Errorf("in doubt: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		o.browser.Fetch("/")
		o.ended(session.ReasonLostAnswer, "dead", true)
		kinds := slices.Sorted(maps.Values(o.secrets))
		for _, want := range []string{"ID token", "access token", "email", "handle", "id", "name", "refresh token", "sid", "subject"} {
			if !slices.Contains(kinds, want) {
				t.Errorf("there was no %s to be kept quiet about", want)
			}
		}
	})
}

// An operator refreshes an hour's token in its first minute, the answer is lost:
// it is asked for again within the grace, not at the planned refresh, half an
// hour later, when that would be reuse.
func TestOperatorsLostAnswerIsInTheGrace(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Hour, provider: "profile: okta"}, func(w *world) {
		if err := w.op.SetPolicy(op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(30 * time.Second)}); err != nil {
			w.t.Fatal(err)
		}
		o := w.watched("ada")
		time.Sleep(11 * time.Second)
		w.line.once(cutAfter)
		o.refused(http.StatusConflict, "may be spent", 1)
		time.Sleep(10 * time.Second)
		if s := o.show(); s.Live == nil || s.Revision != 2 || s.InDoubt {
			w.t.Errorf("ten seconds later: %+v", s)
		}
		if l := w.op.Ledger(); l.Forgiven != 1 || l.Reuse != 1 || l.Revoked != 0 {
			w.t.Errorf("%d came back, %d forgiven, %d families revoked", l.Reuse, l.Forgiven, l.Revoked)
		}
	})
}

func TestOperatorSeesTheEnd(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		o := w.watched("ada")
		time.Sleep(11 * time.Second)
		o.refreshed(2, 1)
		o.browser.Post("/auth/logout")
		o.ended(session.ReasonLogout, "renewed", false)

		o = w.watched("bob")
		time.Sleep(11 * time.Second)
		w.line.set(answers(400, `{"error":"invalid_grant","error_description":"canary-of-the-provider"}`))
		o.refused(http.StatusGone, "refused the refresh token (dead)", 2)
		o.ended(session.ReasonDead, "dead", false)
		w.line.set(nil)
	})
}

// What nobody has come round to end is shown as it is met by the next request.
func TestOperatorSeesThatTimeIsUp(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		w.op.SetIssueRefreshToken(false)
		o := w.watched("eve")
		time.Sleep(11 * time.Second)
		o.refused(http.StatusConflict, "offline_access", 0)
		time.Sleep(time.Hour - 10*time.Second)
		if _, err := w.store.Get(context.Background(), o.id); err != nil {
			w.t.Fatalf("reaped already: %v", err)
		}
		if s := o.show(); s.Ended == nil || s.Reason != session.ReasonIdle || s.AsOf.Sub(s.EndedAt) != time.Second {
			w.t.Errorf("unused for an hour and a second: %+v", s)
		}
		o.refused(http.StatusGone, "idle", 0)
	})
}

// Two operators and a refresh under way: one request to the provider.
func TestOperatorsShareARefresh(t *testing.T) {
	t.Parallel()
	inFakeTime(t, operated, func(w *world) {
		o := w.watched("ada")
		time.Sleep(45 * time.Second)
		if err := w.op.SetFault(op.Fault{GrantType: "refresh_token", HoldBefore: true}); err != nil {
			w.t.Fatal(err)
		}
		done := make(chan int)
		for range 2 {
			go func() {
				r := httptest.NewRecorder()
				w.app.AdminHandler().ServeHTTP(r, httptest.NewRequest(http.MethodPost, adminURL+"/sessions/"+o.id.String()+"/refresh", nil))
				done <- r.Code
			}()
		}
		time.Sleep(time.Second)
		s := o.show()
		if s.Attempt == nil || s.Attempt.By != "operator" || s.Attempt.Tries != 1 || s.Attempt.InDoubt || s.Revision != 1 {
			w.t.Errorf("while the provider holds it: %+v", s)
		}
		w.op.ClearFaults()
		w.op.Release()
		for range 2 {
			if code := <-done; code != http.StatusOK {
				w.t.Errorf("got %d", code)
			}
		}
		if s := o.show(); s.Revision != 2 || w.line.requests() != 1 {
			w.t.Errorf("%d requests, %+v, want one and revision 2", w.line.requests(), s)
		}
		w.once()
	})
}
