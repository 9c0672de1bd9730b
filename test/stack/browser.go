package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/echo"
)

// Browser keeps cookies and follows redirects as a browser does. Browsers treat
// loopback as secure, so Secure cookies travel over http here too.
type Browser struct {
	t      testing.TB
	url    string
	Client *http.Client
}

// Browser opens a browser with an empty cookie jar.
func (s *Stack) Browser(t testing.TB) *Browser {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1000
	t.Cleanup(transport.CloseIdleConnections)
	return NewBrowser(t, s.URL, transport)
}

// NewBrowser opens a browser on the app at url, an origin.
func NewBrowser(t testing.TB, url string, transport http.RoundTripper) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t: t, url: url, Client: &http.Client{Jar: loopbackJar{jar}, Transport: transport}}
}

// loopbackJar makes loopback a secure context.
type loopbackJar struct{ *cookiejar.Jar }

func secure(u *url.URL) *url.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

func (j loopbackJar) SetCookies(u *url.URL, c []*http.Cookie) { j.Jar.SetCookies(secure(u), c) }
func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie       { return j.Jar.Cookies(secure(u)) }

// Answer is a response, read to its end.
type Answer struct {
	Status   int
	Header   http.Header
	Body     string
	Location string // of a redirect that was not followed
	URL      string // where the answer came from, after redirects
}

// Echo is the request as the app received it; the test fails if the app did not
// answer.
func (a Answer) Echo(t testing.TB) echo.Request {
	t.Helper()
	r, err := a.echo()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (a Answer) echo() (r echo.Request, err error) {
	if a.Status != http.StatusOK || json.Unmarshal([]byte(a.Body), &r) != nil {
		return r, fmt.Errorf("no answer of the app: %d %s", a.Status, a.Body)
	}
	return r, nil
}

// Request makes a request to the app; path starts with "/". Header lines are
// "Name: value".
func (b *Browser) Request(method, path string, header ...string) *http.Request {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	return req
}

// Do sends req and follows redirects.
func (b *Browser) Do(req *http.Request) (Answer, error) { return read(b.Client.Do(req)) }

// DoOnce sends req with the browser's cookies and follows nothing.
func (b *Browser) DoOnce(req *http.Request) (Answer, error) {
	once := *b.Client
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return read(once.Do(req))
}

func read(resp *http.Response, err error) (Answer, error) {
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Answer{
		Status: resp.StatusCode, Header: resp.Header, Body: string(body),
		Location: resp.Header.Get("Location"), URL: resp.Request.URL.String(),
	}, err
}

// Navigation headers, as browsers send them for a click and for fetch().
var (
	navigate = []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none", "Accept: text/html"}
	fetch    = []string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", "Accept: application/json"}
)

// Visit navigates to path and follows redirects.
func (b *Browser) Visit(path string) Answer {
	b.t.Helper()
	return b.must(b.Do(b.Request(http.MethodGet, path, navigate...)))
}

// VisitOnce navigates to path and follows nothing.
func (b *Browser) VisitOnce(path string) Answer {
	b.t.Helper()
	return b.must(b.DoOnce(b.Request(http.MethodGet, path, navigate...)))
}

// Fetch is fetch(path) of a page of the app.
func (b *Browser) Fetch(path string, header ...string) Answer {
	b.t.Helper()
	return b.must(b.TryFetch(b.t.Context(), path, header...))
}

// TryFetch is Fetch for any goroutine: a failure, and the end of ctx, is an error.
func (b *Browser) TryFetch(ctx context.Context, path string, header ...string) (Answer, error) {
	return b.DoOnce(b.Request(http.MethodGet, path, slices.Concat(fetch, header)...).WithContext(ctx))
}

// Post is a same-origin POST; it follows nothing.
func (b *Browser) Post(path string) Answer {
	b.t.Helper()
	return b.must(b.TryPost(path))
}

// TryPost is Post for any goroutine.
func (b *Browser) TryPost(path string) (Answer, error) {
	return b.DoOnce(b.Request(http.MethodPost, path, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Accept: text/html", "Origin: "+b.url))
}

func (b *Browser) must(a Answer, err error) Answer {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

var (
	formAction  = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	hiddenField = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]*)"[^>]*value="([^"]*)"`)
)

// SubmitLogin fills the provider's login page with user, whose password is the
// same where one is asked for, and follows redirects.
func (b *Browser) SubmitLogin(page Answer, user string) Answer {
	b.t.Helper()
	return b.must(b.submitLogin(page, user))
}

func (b *Browser) submitLogin(page Answer, user string) (Answer, error) {
	form := url.Values{"username": {user}, "password": {user}}
	for _, m := range hiddenField.FindAllStringSubmatch(page.Body, -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	at, err := url.Parse(page.URL)
	if err != nil {
		return Answer{}, err
	}
	if m := formAction.FindStringSubmatch(page.Body); m != nil {
		if at, err = at.Parse(html.UnescapeString(m[1])); err != nil {
			return Answer{}, err
		}
	}
	return read(b.Client.PostForm(at.String(), form))
}

// Login visits path, logs in at the provider as user, and returns the app's
// answer to path.
func (b *Browser) Login(path, user string) Answer {
	b.t.Helper()
	return b.must(b.TryLogin(path, user))
}

// TryLogin is Login for any goroutine: a failure is an error.
func (b *Browser) TryLogin(path, user string) (Answer, error) {
	page, err := b.Do(b.Request(http.MethodGet, path, navigate...))
	if err != nil {
		return Answer{}, err
	}
	if !strings.Contains(page.Body, `name="username"`) {
		return page, fmt.Errorf("visit %s: want the provider's login page, got %d from %s: %s", path, page.Status, page.URL, page.Body)
	}
	return b.submitLogin(page, user)
}

// Cookie is the browser's cookie of that name at the app; empty if it has none.
func (b *Browser) Cookie(name string) string {
	u, err := url.Parse(b.url + "/auth/")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.Client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Bearer is the access token the app saw; the test fails if it saw none.
func (a Answer) Bearer(t testing.TB) string {
	t.Helper()
	token, err := a.AccessToken()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// AccessToken is Bearer for goroutines, which must not end the test.
func (a Answer) AccessToken() (string, error) {
	r, err := a.echo()
	if err != nil {
		return "", err
	}
	lines := r.Headers["authorization"]
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "Bearer ") {
		return "", fmt.Errorf("authorization at the app: %q, want one Bearer line", lines)
	}
	return strings.TrimPrefix(lines[0], "Bearer "), nil
}

// String is for failure messages.
func (a Answer) String() string { return fmt.Sprintf("%d %q %s", a.Status, a.Location, a.Body) }
