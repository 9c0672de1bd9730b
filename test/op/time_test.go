package op_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokensExpireInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		p.mustBeAlive(got.Access, true)
		time.Sleep(time.Minute - time.Nanosecond)
		p.mustBeAlive(got.Access, true)
		time.Sleep(time.Nanosecond)
		p.mustBeAlive(got.Access, false)

		provider.SetAccessTokenLife(10 * time.Second)
		for range 100 {
			got = p.mustRefresh(got.Refresh)
			if got.ExpiresIn != "10" {
				t.Fatalf("expires_in %q", got.ExpiresIn)
			}
			p.mustBeAlive(got.Access, true)
			time.Sleep(10 * time.Second)
			p.mustBeAlive(got.Access, false)
		}
		time.Sleep(24 * time.Hour)
		p.mustRefresh(got.Refresh) // refresh tokens do not age
		if l := provider.Ledger(); l.Consumed["f1"] != 101 || l.Reuse != 0 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestCodesAndLoginsExpireInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := inProcess(t, nil)
		a := newAttempt()
		code := p.code(a, everything, "ada")
		time.Sleep(61 * time.Second)
		p.mustFail(p.token(a.form(code)), http.StatusBadRequest, "invalid_grant")

		p.newBrowser()
		shown := p.authorize(newAttempt().query(everything))
		time.Sleep(10*time.Minute + time.Second)
		if got := p.signIn(shown, "ada"); got.status != http.StatusBadRequest {
			t.Errorf("a stale login page: %d %s", got.status, got.body)
		}
	})
}

func TestMaxAgeInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := inProcess(t, nil)
		first := p.claims(p.login("ada").ID)
		query := newAttempt().query(everything)
		query.Set("max_age", "60")
		time.Sleep(59 * time.Second)
		if got := p.authorize(query).location(t).Query().Get("code"); got == "" {
			t.Error("a young session: no code")
		}
		time.Sleep(time.Second)
		shown := p.authorize(query)
		if !strings.Contains(shown.body, "<form") {
			t.Fatalf("an old session: %d, want the login page", shown.status)
		}
		p.signIn(shown, "ada")
		second := p.claims(p.login("ada").ID)
		if second["sid"] != first["sid"] || second["auth_time"] == first["auth_time"] {
			t.Errorf("signed in again: %v, want the session of %v with a newer auth_time", second, first)
		}
	})
}

func TestSweepKeepsWhatLivesInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		provider.SetAccessTokenLife(10 * time.Minute)
		got := p.login("ada")
		p.newBrowser()
		shown := p.authorize(newAttempt().query(everything))
		time.Sleep(5 * time.Minute)
		p.mustRefresh(got.Refresh) // sweeps
		p.mustBeAlive(got.Access, true)
		if code := p.signIn(shown, "ada").location(t).Query().Get("code"); code == "" {
			t.Error("the login page was forgotten")
		}
	})
}
