package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// sent is a callback as the browser would send it, cookies included, to be sent
// again and again.
func sent(b *stack.Browser, callback *http.Request) (target, cookies string) {
	var pairs []string
	for _, c := range b.Client.Jar.Cookies(callback.URL) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return callback.URL.RequestURI(), "Cookie: " + strings.Join(pairs, "; ")
}

// setCookie is the cookie of that name that a sets, or nil.
func setCookie(a stack.Answer, name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// refused asserts that a callback made no session and no token request.
func refused(t *testing.T, s *stack.Stack, name string, before int, a stack.Answer) {
	t.Helper()
	if a.Status != http.StatusBadRequest || a.Location != "" {
		t.Errorf("%s: got %v, want 400 and a page", name, a)
	}
	if setCookie(a, sessionCookie) != nil {
		t.Errorf("%s: the session cookie was set", name)
	}
	if got := codes(s) - before; got != 0 {
		t.Errorf("%s: %d token requests", name, got)
	}
}

// A callback completes once, and only in the browser that began it.
func TestCallbackReplayIsRefusedWithoutATokenRequest(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	ada, eve := s.Browser(t), s.Browser(t)
	raw := wire(http1)
	begin := func(b *stack.Browser) (*http.Request, string, string) {
		callback := callbackOf(t, s, b, b.VisitOnce("/auth/login?return_to=/page").Location)
		target, cookies := sent(b, callback)
		return callback, target, cookies
	}
	callback, target, cookies := begin(ada)
	code, state := callback.URL.Query().Get("code"), callback.URL.Query().Get("state")
	_, _, evesCookies := begin(eve)

	for name, lines := range map[string][]string{
		"without a cookie": nil, "in another browser": {evesCookies}, "with a broken cookie": {cookies[:len(cookies)-8] + "AAAAAAAA"},
	} {
		refused(t, s, name, 0, raw.send(t, s, http.MethodGet, target, lines...))
	}
	for name, query := range map[string]string{
		"no state": "code=" + code, "no code": "state=" + state, "empty": "", "state cut": "code=" + code + "&state=" + state[:len(state)-1],
		"two states": "code=" + code + "&state=" + state + "&state=" + state, "two codes": "code=x&code=" + code + "&state=" + state,
		"another issuer": "code=" + code + "&state=" + state + "&iss=https://evil.example",
	} {
		refused(t, s, name, 0, raw.send(t, s, http.MethodGet, "/auth/callback?"+query, cookies))
	}
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut} {
		if a := raw.send(t, s, method, target, cookies, "Content-Length: 0"); a.Status != http.StatusMethodNotAllowed || codes(s) != 0 {
			t.Errorf("%s: %d, %d token requests, want 405 and none", method, a.Status, codes(s))
		}
	}

	// None of that spent it.
	if a, err := ada.DoOnce(callback); err != nil || a.Status != http.StatusSeeOther || a.Location != "/page" {
		t.Fatalf("the callback itself: %v, %v", a, err)
	}
	second, _, _ := begin(ada)
	_, cookiesNow := sent(ada, second)
	for name, again := range map[string][2]string{
		"the same again": {target, cookies}, "the same again, cookies as they are now": {target, cookiesNow},
		"another code":       {"/auth/callback?code=other&state=" + state, cookies},
		"a new code":         {"/auth/callback?code=" + second.URL.Query().Get("code") + "&state=" + state, cookies},
		"a spent code":       {"/auth/callback?code=" + code + "&state=" + second.URL.Query().Get("state"), cookiesNow},
		"in another browser": {target, evesCookies},
		"without any cookie": {target, "Cookie: a=1"},
	} {
		refused(t, s, name, 1, raw.send(t, s, http.MethodGet, again[0], again[1]))
	}
	if l := s.OP.Ledger(); l.Revoked != 0 {
		t.Errorf("the provider revoked %d grants: it saw a code again", l.Revoked)
	}
}

// The provider says no: a page tells so, in words that cannot be chosen by
// whoever made the link.
func TestProviderDeclines(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	for code, want := range map[string]int{
		"access_denied": http.StatusForbidden, "login_required": http.StatusBadRequest, "server_error": http.StatusServiceUnavailable,
		"%3Cscript%3Ealert(1)%3C/script%3E": http.StatusBadRequest, "%0d%0aSet-Cookie:%20planted=1": http.StatusBadRequest,
	} {
		b := s.Browser(t)
		q := toProvider(t, s, b.VisitOnce("/page"))
		a := b.VisitOnce("/auth/callback?error=" + code + "&error_description=%3Cb%3E&state=" + q.Get("state"))
		if a.Status != want || a.Location != "" || strings.Contains(a.Body, "<script") || strings.Contains(a.Body, "<b>") || setCookie(a, "planted") != nil {
			t.Errorf("%s: got %v, want %d", code, a, want)
		}
		if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") || a.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: a %s page without a policy", code, kind)
		}
	}
	if codes(s) != 0 || s.App.Requests() != 0 {
		t.Errorf("%d token requests, %d requests at the app, want none", codes(s), s.App.Requests())
	}
}

// The same callback many times at once: one token request, one session.
func TestCallbackManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	b := s.Browser(t)
	target, cookies := sent(b, callbackOf(t, s, b, b.VisitOnce("/page").Location))
	const n = 50
	answers := make([]stack.Answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			a, err := http1(t, s, http.MethodGet, target, cookies)
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	all.Wait()
	sessions := make(map[string]int)
	for _, a := range answers {
		if a.Status == http.StatusSeeOther {
			if c := setCookie(a, sessionCookie); c != nil {
				sessions[c.Value]++
			} else {
				t.Error("logged in without a cookie")
			}
			continue
		}
		refused(t, s, "late", 1, a)
	}
	if len(sessions) != 1 || codes(s) != 1 {
		t.Errorf("%d sessions of %d token requests, want 1 of 1", len(sessions), codes(s))
	}
}

// Envoy's connection breaks after it has delivered a callback, so it asks again:
// the provider sees one token request, and the browser is logged in.
func TestEnvoyRepeatsACallback(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]stack.Options{
		"shipped": {Bootstrap: envoytest.Shipped}, "a mesh with our EnvoyFilter": {Bootstrap: envoytest.Bare, Mutate: meshWithFilter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			envoyRepeatsACallback(t, o)
		})
	}
}

func envoyRepeatsACallback(t *testing.T, o stack.Options) {
	own := socket(t)
	o.Config = fmt.Sprintf("listen: {check: \"unix://%s\", admin: \"127.0.0.1:0\"}", own)
	s := stack.Start(t, o)
	l := newLink(t, s.File("check.sock"), own)
	b := s.Browser(t)
	callback := callbackOf(t, s, b, b.VisitOnce("/page?q=1").Location)
	if err := s.OP.SetFault(op.Fault{GrantType: "authorization_code", HoldBefore: true}); err != nil {
		t.Fatal(err)
	}
	var answer stack.Answer
	var failed error
	var asking sync.WaitGroup
	asking.Go(func() { answer, failed = b.DoOnce(callback) })
	eventually(t, "the provider holds the token request", func() bool { return s.OP.Ledger().Held == 1 })
	before, _ := l.newest()
	l.cut()
	eventually(t, "Envoy has repeated the Check", func() bool {
		number, sent := l.newest()
		return number > before && sent > len(callback.URL.RequestURI())+500 // the preface alone is shorter
	})
	if a := s.Browser(t).Fetch("/"); a.Status != http.StatusUnauthorized { // behind it
		t.Errorf("another browser: %v", a)
	}
	s.OP.ClearFaults()
	s.OP.Release()
	asking.Wait()
	if failed != nil || answer.Status != http.StatusSeeOther || answer.Location != "/page?q=1" {
		t.Fatalf("the callback: %v, %v", answer, failed)
	}
	if got := codes(s); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	if !accepted(t, s, b.Fetch("/").Bearer(t)) {
		t.Error("the provider does not accept the token")
	}
	if l := s.OP.Ledger(); l.Revoked != 0 {
		t.Errorf("the provider revoked %d grants", l.Revoked)
	}
}
