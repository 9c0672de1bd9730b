package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// elsewhere are return paths that some browser, proxy or parser reads as another
// site, or as another header.
var elsewhere = []string{
	"//evil.example", "///evil.example", "////evil.example/", `/\evil.example`, `\\evil.example`, `/\/evil.example`, `\/evil.example`,
	"/%2fevil.example", "/%2f%2fevil.example", "/%5cevil.example", "/%5c%5cevil.example", "/%252f%252fevil.example", "%2f%2fevil.example",
	"https://evil.example/", "HTTPS://evil.example", "https:evil.example", "https:/evil.example", "http:///evil.example", "//evil.example@localhost",
	"@evil.example", ".evil.example", ":80@evil.example", "evil.example", "javascript:alert(1)", "data:text/html,evil.example",
	"/\t/evil.example", "/%09/evil.example", "\t//evil.example", " //evil.example", "/\n/evil.example",
	"/\r\nLocation: https://evil.example", "/%0d%0aLocation:%20https://evil.example", "/\r\nSet-Cookie: planted=evil", "/%0d%0aSet-Cookie:%20planted=evil",
	"/.//evil.example", "/..//evil.example", "/a/..//evil.example", "/%2e%2e//evil.example", "/;//evil.example/..", "/./\\evil.example",
	"//evil.example/%2e%2e", "//localhost:1/evil", "/auth/login?return_to=https://evil.example", "/auth/callback?code=evil&state=evil",
	"\u2215\u2215evil.example", "\uff0f\uff0fevil.example", "/\u2028/evil.example", "/#//evil.example", "?//evil.example", "",
}

// signIn takes the way to the provider, logs in, and returns the callback's
// answer, unfollowed.
func signIn(t *testing.T, s *stack.Stack, b *stack.Browser, toProvider string) stack.Answer {
	t.Helper()
	answer, err := b.DoOnce(callbackOf(t, s, b, toProvider))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// callbackOf is the request that the provider sends the browser back with.
func callbackOf(t *testing.T, s *stack.Stack, b *stack.Browser, toProvider string) *http.Request {
	t.Helper()
	var callback string
	b.Client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), s.URL) {
			callback = next.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { b.Client.CheckRedirect = nil }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, toProvider, nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if callback == "" {
		b.SubmitLogin(page, "ada")
	}
	if callback == "" {
		t.Fatal("the provider did not send the browser back")
	}
	return b.Request(http.MethodGet, callback, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site", "Accept: text/html")
}

// visitRaw navigates to target exactly as written, and keeps the cookies set.
func visitRaw(t *testing.T, s *stack.Stack, b *stack.Browser, target string) stack.Answer {
	t.Helper()
	a := wire(http1).send(t, s, http.MethodGet, target, "Sec-Fetch-Mode: navigate", "Accept: text/html")
	app, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.Client.Jar.SetCookies(app, (&http.Response{Header: a.Header}).Cookies())
	return a
}

// Whatever page a login is asked to go back to, it lands on this site.
func TestLoginLandsOnTheSite(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap})
			for _, path := range elsewhere {
				targets := []string{"/auth/login?return_to=" + url.QueryEscape(path)}
				if !strings.ContainsAny(path, " \t\r\n#") { // else no request line
					targets = append(targets, "/auth/login?return_to="+path)
					if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/auth/") {
						targets = append(targets, path, path+"?q=1")
					}
				}
				for _, target := range targets {
					landsHere(t, s, bootstrap, target)
				}
			}
			if got := s.App.Requests(); got != 0 {
				t.Errorf("%d requests reached the app", got)
			}
		})
	}
}

func landsHere(t *testing.T, s *stack.Stack, bootstrap, target string) {
	t.Helper()
	b := s.Browser(t)
	a := visitRaw(t, s, b, target)
	escaped := strings.Contains(strings.ToLower(target), "%2f") || strings.Contains(strings.ToLower(target), "%5c")
	ascii := !strings.ContainsFunc(target, func(r rune) bool { return r > '~' })
	if a.Status == http.StatusBadRequest && (!ascii || bootstrap == envoytest.Shipped && escaped) {
		return // Envoy takes no such path
	}
	toProvider(t, s, a)
	back := signIn(t, s, b, a.Location)
	if back.Status != http.StatusSeeOther || len(back.Header.Values("Location")) != 1 {
		t.Errorf("%q: after the login %v, want 303", target, back)
		return
	}
	if !onSite(back.Location) {
		t.Errorf("%q: the login went back to %q", target, back.Location)
	}
	for _, header := range []http.Header{a.Header, back.Header} {
		for _, line := range header.Values("Set-Cookie") {
			if !strings.HasPrefix(line, "__Host-bff_") {
				t.Errorf("%q: a cookie that is not ours was set", target)
			}
		}
	}
}

// onSite: a path of this site for every reader, however often it decodes.
func onSite(to string) bool {
	path, _, _ := strings.Cut(to, "?")
	for range 4 {
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
			return false
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return false
		}
		path = decoded
	}
	return true
}

// A page with a URL in its query, and a client that names another host, are
// treated as what they are.
func TestLoginKeepsThePageAndTheOrigin(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	const page = "/go?to=https://evil.example//x&b=%2F%5C"
	b := s.Browser(t)
	if back := signIn(t, s, b, visitRaw(t, s, b, page).Location); back.Location != page {
		t.Errorf("went back to %s, want %s", back.Location, page)
	}
	b = s.Browser(t)
	if back := signIn(t, s, b, visitRaw(t, s, b, "/auth/login?return_to="+url.QueryEscape(page)).Location); back.Location != page {
		t.Errorf("from the login page went back to %s, want %s", back.Location, page)
	}
	for name, lines := range map[string][]string{
		"forwarded": {"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example;proto=https"},
		"original":  {"X-Original-Host: evil.example", "X-Envoy-Original-Path: //evil.example", "X-Original-URL: //evil.example"},
	} {
		a := wire(http1).send(t, s, http.MethodGet, "/", append(lines, "Accept: text/html")...)
		if got := toProvider(t, s, a).Get("redirect_uri"); got != s.URL+"/auth/callback" {
			t.Errorf("%s: redirect_uri %s", name, got)
		}
	}
	a := wire(http1).send(t, s, http.MethodGet, "http://evil.example/page", "Accept: text/html")
	if got := toProvider(t, s, a).Get("redirect_uri"); got != s.URL+"/auth/callback" {
		t.Errorf("absolute form: redirect_uri %s", got)
	}
}
