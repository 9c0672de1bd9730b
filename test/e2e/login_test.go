package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	sessionCookie = "__Host-bff_session"
	loginCookies  = "__Host-bff_login_"
)

// hop is one redirect as the browser followed it.
type hop struct {
	status int
	to     *url.URL
}

// follow records the redirects that b follows from now on.
func follow(b *stack.Browser) *[]hop {
	var hops []hop
	b.Client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		hops = append(hops, hop{next.Response.StatusCode, next.URL})
		return nil
	}
	return &hops
}

// accepted asks the provider's userinfo whether an access token is good.
func accepted(t *testing.T, s *stack.Stack, token string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// codes counts the code exchanges that the provider received.
func codes(s *stack.Stack) (n int) {
	for _, r := range s.OP.Ledger().Received {
		if r.GrantType == "authorization_code" {
			n++
		}
	}
	return n
}

// toProvider asserts that a is the way to the provider, and returns its query.
func toProvider(t *testing.T, s *stack.Stack, a stack.Answer) url.Values {
	t.Helper()
	to, err := url.Parse(a.Location)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusFound || to.Scheme+"://"+to.Host != s.Issuer {
		t.Fatalf("got %v, want 302 to the provider", a)
	}
	return to.Query()
}

// A navigation without a session goes to the provider with code flow, PKCE
// S256, state and nonce, and comes back to the page it asked for.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	b := s.Browser(t)
	const page = "/reports/7?sort=name&q=a%20b+c&empty="

	first := b.VisitOnce(page)
	q := toProvider(t, s, first)
	for name, want := range map[string]string{
		"response_type": "code", "client_id": stack.ClientID, "redirect_uri": s.URL + "/auth/callback",
		"code_challenge_method": "S256", "scope": "openid offline_access",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	again := toProvider(t, s, b.VisitOnce(page))
	for name, atLeast := range map[string]int{"state": 26, "nonce": 22, "code_challenge": 43} {
		if got := q.Get(name); len(got) < atLeast || got == again.Get(name) {
			t.Errorf("%s: %d characters, the same in another login: %t", name, len(got), got == again.Get(name))
		}
	}
	if got := first.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	guarded(t, first.Header, loginCookies)

	hops := follow(b)
	landed := b.Login(page, "ada")
	callback := -1
	for i, h := range *hops {
		if h.to.Path == "/auth/callback" && strings.HasPrefix(h.to.String(), s.URL) {
			callback = i
		}
	}
	if callback < 0 || callback+2 != len(*hops) {
		t.Fatalf("hops %v, want the callback and one more in the end", *hops)
	}
	if last := (*hops)[callback+1]; last.status != http.StatusSeeOther || last.to.String() != s.URL+page {
		t.Errorf("after the callback %d to %s, want 303 to the page asked for", last.status, last.to)
	}
	if got := landed.Echo(t).Path; got != page {
		t.Errorf("the app saw %s, want %s", got, page)
	}
	if !accepted(t, s, landed.Bearer(t)) {
		t.Error("the provider does not accept the token that the app got")
	}
	if got := codes(s); got != 1 {
		t.Errorf("%d code exchanges, want 1", got)
	}
	for _, line := range landed.Echo(t).Headers["cookie"] {
		if strings.Contains(line, "__Host-bff") {
			t.Error("the app saw a cookie of ours")
		}
	}
}

// guarded asserts that all cookies set are ours, unreadable for scripts and
// bound to this host.
func guarded(t *testing.T, h http.Header, prefix string) {
	t.Helper()
	lines := h.Values("Set-Cookie")
	if len(lines) == 0 {
		t.Error("no cookie set")
	}
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil || !strings.HasPrefix(c.Name, prefix) || !c.HttpOnly || !c.Secure ||
			c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("cookie %v, %v", c, err)
		}
	}
}

// Several tabs ask before any has logged in; each comes back to its own page.
func TestLoginOfSeveralTabs(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(tabs []func()){
		"one after the other": func(tabs []func()) {
			for _, tab := range slices.Backward(tabs) {
				tab()
			}
		},
		"at once": func(tabs []func()) {
			var all sync.WaitGroup
			for _, tab := range tabs {
				all.Go(tab)
			}
			all.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{})
			b := s.Browser(t)
			var tabs []func()
			for i := range 5 {
				page := fmt.Sprintf("/tab/%d?n=%d", i, i)
				form := b.Visit(page)
				tabs = append(tabs, func() {
					landed := b.SubmitLogin(form, "ada")
					if landed.Status != http.StatusOK || landed.URL != s.URL+page {
						t.Errorf("tab %d landed at %s: %v", i, landed.URL, landed)
						return
					}
					if got := landed.Echo(t).Path; got != page {
						t.Errorf("the app saw %s, want %s", got, page)
					}
				})
			}
			finish(tabs)
			if !t.Failed() && !accepted(t, s, b.Fetch("/").Bearer(t)) {
				t.Error("the provider does not accept the token in the end")
			}
		})
	}
}
