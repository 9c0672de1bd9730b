package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/op"
)

func TestRevokeRefreshToken(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	if r := p.post("/revoke", url.Values{"token": {got.Refresh}, "token_type_hint": {"refresh_token"}}); r.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", r.status, r.body)
	}
	p.mustFail(p.refresh(got.Refresh), http.StatusBadRequest, "invalid_grant")
	p.mustBeAlive(got.Access, false)
	l := provider.Ledger()
	if l.RevokedBy[op.ReasonRevocation] != 1 || l.Reuse != 0 || l.ActiveFamilies != 0 {
		t.Errorf("ledger %+v", l)
	}
	if r := p.post("/revoke", url.Values{"token": {got.Refresh}}); r.status != http.StatusOK || provider.Ledger().Revoked != 1 {
		t.Errorf("revoked again: %d, ledger %+v", r.status, provider.Ledger())
	}
	if r := p.post("/revoke", url.Values{"token": {"never issued"}}); r.status != http.StatusOK {
		t.Errorf("an unknown token: %d, want 200 (RFC 7009 section 2.2)", r.status)
	}
}

func TestRevokeAccessToken(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	got := p.login("ada")
	r := p.request(http.MethodPost, "/revoke", url.Values{"token": {got.Access}, "client_id": {"other"}, "client_secret": {"other"}})
	if answer := p.do(&http.Client{Transport: p.transport}, r); answer.status != http.StatusBadRequest {
		t.Errorf("by another client: %d", answer.status)
	}
	r = p.request(http.MethodPost, "/revoke", url.Values{"token": {got.Refresh}, "client_id": {"other"}, "client_secret": {"other"}})
	if answer := p.do(&http.Client{Transport: p.transport}, r); answer.status != http.StatusBadRequest {
		t.Errorf("by another client: %d", answer.status)
	}
	p.mustBeAlive(got.Access, true)
	if answer := p.post("/revoke", url.Values{"token": {got.Access}}); answer.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", answer.status, answer.body)
	}
	p.mustBeAlive(got.Access, false)
	next := p.mustRefresh(got.Refresh)
	p.mustBeAlive(next.Access, true)
	if l := provider.Ledger(); l.Revoked != 0 || l.ActiveFamilies != 1 {
		t.Errorf("ledger %+v", l)
	}
}

func endSession(hint string) string {
	return "/end_session?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s1"}}.Encode()
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	elsewhere := p.login("ada")
	p.newBrowser()
	first := p.login("ada")
	second := p.login("ada") // silent: the same browser session

	answer := p.get(endSession(second.ID))
	if got := answer.location(t).String(); answer.status != http.StatusFound || got != bye+"?state=s1" {
		t.Fatalf("end_session: %d to %s", answer.status, got)
	}
	if set := answer.header.Get("Set-Cookie"); !strings.HasPrefix(set, op.BrowserCookie+"=;") || !strings.Contains(set, "Max-Age=0") {
		t.Errorf("Set-Cookie %q does not clear %s", set, op.BrowserCookie)
	}
	for _, dead := range []tokens{first, second} {
		p.mustFail(p.refresh(dead.Refresh), http.StatusBadRequest, "invalid_grant")
		p.mustBeAlive(dead.Access, false)
	}
	p.mustBeAlive(elsewhere.Access, true)
	p.mustRefresh(elsewhere.Refresh)
	if got := p.authorize(newAttempt().query(everything)); !strings.Contains(got.body, "<form") {
		t.Errorf("after logout no login page: %d", got.status)
	}
	if l := provider.Ledger(); l.Logouts != 1 || l.RevokedBy[op.ReasonLogout] != 2 || l.ActiveFamilies != 1 || l.Reuse != 0 {
		t.Errorf("ledger %+v", l)
	}
	p.get(endSession(second.ID))
	if got := provider.Ledger().Logouts; got != 1 {
		t.Errorf("%d logouts after ending a session twice, want 1", got)
	}
}

func TestEndSessionWithoutTheBrowser(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	got := p.login("ada")
	p.newBrowser()
	if answer := p.get(endSession(got.ID)); answer.status != http.StatusFound {
		t.Fatalf("end_session: %d %s", answer.status, answer.body)
	}
	p.mustFail(p.refresh(got.Refresh), http.StatusBadRequest, "invalid_grant")
}

func TestEndSessionByCookieAlone(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	got := p.login("ada")
	if answer := p.get("/end_session"); answer.status != http.StatusOK || answer.url.Path != "/logged-out" {
		t.Fatalf("end_session: %d at %s", answer.status, answer.url)
	}
	p.mustFail(p.refresh(got.Refresh), http.StatusBadRequest, "invalid_grant")
}

func TestEndSessionRefuses(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	got := p.login("ada")
	_, stranger := inProcess(t, nil)
	for name, path := range map[string]string{
		"an unknown uri":     "/end_session?" + url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"http://evil.test/"}}.Encode(),
		"another's id_token": endSession(stranger.login("ada").ID),
	} {
		if answer := p.get(path); answer.status != http.StatusBadRequest || answer.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, Set-Cookie %q", name, answer.status, answer.header.Get("Set-Cookie"))
		}
	}
	p.mustBeAlive(got.Access, true)
	if l := provider.Ledger(); l.Logouts != 0 || l.ActiveFamilies != 1 {
		t.Errorf("ledger %+v", l)
	}
}
