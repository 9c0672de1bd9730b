package rp_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
)

func (b *browser) logout(header ...string) *http.Response {
	return b.send(b.w.t.Context(), http.MethodPost, "/auth/logout", header...)
}

func TestLogout(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	b.login(p, "/")
	s := w.vault.sessions()[0]
	resp := b.logout("Sec-Fetch-Site", "same-origin")
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), issuer+"/") || q.Get("id_token_hint") != s.Token.ID.Reveal() || q.Get("client_id") != clientID || q.Get("post_logout_redirect_uri") != external+"/" {
		t.Errorf("sent to %s", to)
	}
	if b.handle() != "" || w.vault.ended[s.ID] != session.ReasonLogout {
		t.Errorf("cookie %q, ended %v", b.handle(), w.vault.ended)
	}
	if back, err := b.ask(p, http.MethodGet, to, "").Location(); err != nil || back.String() != external+"/" {
		t.Errorf("the provider sends on to %v, %v", back, err)
	}
	if l := p.Ledger(); l.Logouts != 1 || l.ActiveFamilies != 0 {
		t.Errorf("ledger %+v", l)
	}
	if resp := b.get("/auth/session"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("still signed in: %d", resp.StatusCode)
	}
}

func TestLogoutNeedsTheSameOrigin(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	for _, tt := range []struct {
		header []string
		ok     bool
	}{
		{[]string{"Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "none"}, true},
		{[]string{"Origin", external}, true},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", external}, true},
		{nil, false},
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Sec-Fetch-Site", "same-site"}, false},
		{[]string{"Sec-Fetch-Site", ""}, false},
		{[]string{"Sec-Fetch-Site", "Same-Origin"}, false},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", external}, false},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Origin", ""}, false},
		{[]string{"Origin", "http://app.example.com"}, false},
		{[]string{"Origin", "https://evil.app.example.com"}, false},
		{[]string{"Origin", "https://app.example.com.evil.example"}, false},
		{[]string{"Origin", external + ":8443"}, false},
		{[]string{"Origin", external + "/"}, false},
		{[]string{"Origin", external, "Origin", "https://evil.example"}, false},
		{[]string{"Referer", external + "/"}, false},
	} {
		b := w.browser()
		b.login(p, "/")
		clear(w.vault.ended)
		resp := b.logout(tt.header...)
		if ended := len(w.vault.ended) == 1 && b.handle() == "" && resp.StatusCode == http.StatusSeeOther; ended != tt.ok {
			t.Errorf("%q: %d, ended %v", tt.header, resp.StatusCode, ended)
		}
		if !tt.ok && (resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) != 0 || len(w.vault.ended) != 0) {
			t.Errorf("%q: %d, cookies %v, ended %v", tt.header, resp.StatusCode, resp.Cookies(), w.vault.ended)
		}
	}
}

// The origin is compared as browsers write it.
func TestOriginIsNormal(t *testing.T) {
	t.Parallel()
	for configured, origin := range map[string]string{
		"https://App.Example.com:443/": "https://app.example.com", "http://localhost:8080": "http://localhost:8080", "http://localhost:80": "http://localhost",
		"https://[::1]:443": "https://[::1]", "https://app.example.com:80": "https://app.example.com:80",
	} {
		w, _ := newHostile(t).world(t, func(o *rp.Options) { o.ExternalURL = parse(t, configured) })
		if resp := w.browser().logout("Origin", origin); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: Origin %s is refused", configured, origin)
		}
		if got := w.browser().begin("/").Query().Get("redirect_uri"); got != origin+"/auth/callback" {
			t.Errorf("%s: redirect_uri %s", configured, got)
		}
	}
}

func TestLogoutWithoutSession(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	check := func(what string, cookies int) {
		t.Helper()
		resp := b.logout("Sec-Fetch-Site", "same-origin")
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || len(resp.Cookies()) != cookies {
			t.Errorf("%s: %d to %q, cookies %v", what, resp.StatusCode, resp.Header.Get("Location"), resp.Cookies())
		}
	}
	check("no cookie", 0)
	b.login(p, "/")
	if _, err := w.vault.End(t.Context(), w.vault.sessions()[0].ID, session.ReasonIdle); err != nil {
		t.Fatal(err)
	}
	check("ended elsewhere", 1) // the cookie goes
	if b.handle() != "" {
		t.Error("the cookie stays")
	}
}

func TestLogoutWithTheStoreDown(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	for _, err := range []error{session.ErrUnavailable, errors.New("what")} {
		w.vault.outage(nil)
		b := w.browser()
		b.login(p, "/")
		w.vault.outage(err)
		resp := b.logout("Sec-Fetch-Site", "same-origin")
		wantPage(t, resp, http.StatusServiceUnavailable, "still signed in")
		if len(resp.Cookies()) != 0 || b.handle() == "" {
			t.Errorf("cookies %v", resp.Cookies())
		}
	}
}

func TestLogoutAtAProviderWithoutEndSession(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	w, b := h.world(t)
	h.login(b, "/")
	if resp := b.logout("Sec-Fetch-Site", "same-origin"); resp.Header.Get("Location") != "/" || len(w.vault.ended) != 1 {
		t.Errorf("%d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	h = newHostile(t)
	h.metadata["end_session_endpoint"] = issuer + "/end?tenant=a%26b"
	_, b = h.world(t)
	h.login(b, "/")
	to, err := b.logout("Sec-Fetch-Site", "same-origin").Location()
	if err != nil || to.Query().Get("tenant") != "a&b" || to.Query().Get("client_id") != clientID {
		t.Errorf("sent to %v, %v", to, err)
	}
}
