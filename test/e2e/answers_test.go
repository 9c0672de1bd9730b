package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

const evilOrigin = "Origin: https://evil.example"

// asked is a request, and what becomes of it.
type asked struct {
	name   string
	method string
	lines  []string
	want   int
}

// Without a session a navigation goes to the provider. Everything else gets a
// plain 401: a redirect would only confuse a program, and lose a POST's body.
func TestAnswersWithoutASession(t *testing.T) {
	t.Parallel()
	tests := []asked{
		{"a click", "GET", []string{"Sec-Fetch-Mode: navigate", "Accept: text/html"}, 302},
		{"an old browser's click", "GET", []string{"Accept: text/html,application/xhtml+xml,*/*;q=0.8"}, 302},
		{"fetch()", "GET", []string{"Sec-Fetch-Mode: cors", "Accept: */*"}, 401},
		{"fetch() that asks for HTML", "GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, 401},
		{"an image", "GET", []string{"Sec-Fetch-Mode: no-cors", "Accept: image/*"}, 401},
		{"XMLHttpRequest of an old browser", "GET", []string{"X-Requested-With: XMLHttpRequest", "Accept: application/json"}, 401},
		{"curl", "GET", []string{"Accept: */*"}, 401},
		{"nothing", "GET", nil, 401},
		{"a form", "POST", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Accept: text/html", "Content-Length: 0"}, 401},
		{"a form of an old browser", "POST", []string{"Accept: text/html", "Content-Length: 0"}, 401},
		{"PUT", "PUT", []string{"Accept: text/html", "Content-Length: 0"}, 401},
		{"DELETE", "DELETE", []string{"Accept: text/html"}, 401},
		{"HEAD", "HEAD", nil, 401},
		{"HEAD as a navigation", "HEAD", []string{"Sec-Fetch-Mode: navigate"}, 302},
		{"OPTIONS that is no preflight", "OPTIONS", []string{"Origin: https://other.example"}, 401},
		{"gRPC-Web", "POST", []string{"Content-Type: application/grpc-web+proto", "Content-Length: 0"}, 401},
		{"a bearer of its own", "GET", []string{"Authorization: Bearer mine"}, 401},
		{"a session that never was", "GET", []string{"Cookie: " + sessionCookie + "=" + strings.Repeat("A", 43)}, 401},
		{"a broken session cookie", "GET", []string{"Cookie: " + sessionCookie + "=%00"}, 401},
	}
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap})
			for _, tt := range tests {
				for name, send := range map[string]wire{"HTTP/1.1": http1, "HTTP/2": prior} {
					lines := tt.lines
					if name == "HTTP/2" {
						lines = lowerNames(lines)
					}
					a := send.send(t, s, tt.method, "/page", lines...)
					if a.Status != tt.want {
						t.Errorf("%s %s: got %v, want %d", name, tt.name, a, tt.want)
					}
					if a.Status == http.StatusUnauthorized {
						problem(t, name+" "+tt.name, tt.method, a)
					} else {
						toProvider(t, s, a)
					}
				}
			}
			grpc := wire(prior).send(t, s, "POST", "/package.Service/Method", "content-type: application/grpc", "te: trailers")
			if got := grpc.Header.Get("Grpc-Status"); grpc.Status != http.StatusOK || got != "16" {
				t.Errorf("gRPC: status %d, grpc-status %q, want 16, unauthenticated", grpc.Status, got)
			}
			if got := s.App.Requests(); got != 0 {
				t.Errorf("%d requests reached the app", got)
			}
		})
	}
}

func lowerNames(lines []string) (lower []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		lower = append(lower, strings.ToLower(name)+": "+value)
	}
	return lower
}

// problem asserts an answer for programs (RFC 9457).
func problem(t *testing.T, name, method string, a stack.Answer) {
	t.Helper()
	var body struct {
		Title, Detail string
		Status        int
	}
	if method == http.MethodHead {
		if a.Body != "" {
			t.Errorf("%s: HEAD with a body", name)
		}
	} else if err := json.Unmarshal([]byte(a.Body), &body); err != nil || body.Status != a.Status || body.Title == "" || body.Detail == "" {
		t.Errorf("%s: body %s, %v", name, a.Body, err)
	}
	for header, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Location": ""} {
		if got := a.Header.Get(header); got != want {
			t.Errorf("%s: %s %q, want %q", name, header, got, want)
		}
	}
	if (a.Header.Get("WWW-Authenticate") == "") != (a.Status != http.StatusUnauthorized) {
		t.Errorf("%s: WWW-Authenticate %q with %d", name, a.Header.Get("WWW-Authenticate"), a.Status)
	}
	if got := a.Header.Values("Set-Cookie"); len(got) != 0 {
		t.Errorf("%s: sets %d cookies", name, len(got))
	}
}

// With a session, what another site could have made the browser send is refused
// if it changes something or opens a socket.
func TestAnswersWithASession(t *testing.T) {
	t.Parallel()
	socket := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="}
	with := func(lines ...string) []string { return append(lines, "Content-Length: 0") }
	upgrade := func(lines ...string) []string { return append(lines, socket...) }
	tests := []asked{
		{"a link on another site", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Accept: text/html"}, 200},
		{"HEAD", "HEAD", nil, 200},
		{"a POST of this site", "POST", with("Sec-Fetch-Site: same-origin", "Origin: ORIGIN"), 200},
		{"a POST of this site, old browser", "POST", with("Origin: ORIGIN"), 200},
		{"a POST of no browser", "POST", with(), 200},
		{"a POST of another site", "POST", with("Sec-Fetch-Site: cross-site", evilOrigin), 403},
		{"a POST of another site that lies about its origin", "POST", with("Sec-Fetch-Site: cross-site", "Origin: ORIGIN"), 403},
		{"a POST of another site, old browser", "POST", with(evilOrigin), 403},
		{"a POST of a page without an origin", "POST", with("Origin: null"), 403},
		{"a POST of a sibling subdomain", "POST", with("Sec-Fetch-Site: same-site", "Origin: http://sibling.localhost"), 403},
		{"PUT of another site", "PUT", with("Sec-Fetch-Site: cross-site", evilOrigin), 403},
		{"DELETE of another site", "DELETE", []string{"Sec-Fetch-Site: cross-site", evilOrigin}, 403},
		{"PATCH of another site, old browser", "PATCH", with(evilOrigin), 403},
		{"a method of nobody's", "PURGE", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a WebSocket of this site", "GET", upgrade("Sec-Fetch-Site: same-origin", "Origin: ORIGIN"), 200},
		{"a WebSocket of another site", "GET", upgrade("Sec-Fetch-Site: cross-site", evilOrigin), 403},
		{"a WebSocket of another site, old browser", "GET", upgrade(evilOrigin), 403},
	}
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap})
			b := s.Browser(t)
			bearer := b.Login("/", "ada").Bearer(t)
			session := "Cookie: " + sessionCookie + "=" + b.Cookie(sessionCookie)
			for _, tt := range tests {
				if bootstrap == envoytest.Bare && strings.Contains(tt.name, "WebSocket") {
					continue // it lets no upgrade through to begin with
				}
				lines := []string{session}
				for _, line := range tt.lines {
					lines = append(lines, strings.ReplaceAll(line, "ORIGIN", s.URL))
				}
				before := s.App.Requests()
				a := wire(http1).send(t, s, tt.method, "/page", lines...)
				if a.Status != tt.want {
					t.Errorf("%s: got %v, want %d", tt.name, a, tt.want)
					continue
				}
				if a.Status == http.StatusForbidden {
					problem(t, tt.name, tt.method, a)
				}
				reached := s.App.Requests() - before
				if reached != map[int]int{200: 1, 403: 0}[tt.want] {
					t.Errorf("%s: reached the app %d times", tt.name, reached)
				}
				if last, _ := s.App.Last(); tt.want == 200 && (last.Method != tt.method || last.Headers["authorization"][0] != "Bearer "+bearer) {
					t.Errorf("%s: the app saw %s without the session's bearer", tt.name, last.Method)
				}
			}
		})
	}
}

// A CORS preflight carries no cookies by design: it passes, and carries no
// identity even if it has some.
func TestPreflightPassesWithoutASession(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			s := stack.Start(t, stack.Options{Bootstrap: bootstrap})
			b := s.Browser(t)
			b.Login("/", "ada")
			preflight := []string{"Origin: https://other.example", "Access-Control-Request-Method: POST", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: cross-site"}
			for name, more := range map[string]string{
				"bare": "X-Nothing: 1", "with a session": "Cookie: " + sessionCookie + "=" + b.Cookie(sessionCookie), "with a bearer": "Authorization: Bearer mine",
			} {
				got := wire(http1).send(t, s, http.MethodOptions, "/api", append(preflight, more)...).Echo(t)
				if got.Method != http.MethodOptions {
					t.Errorf("%s: the app saw %s", name, got.Method)
				}
				for _, header := range []string{"authorization", "x-user-id", "x-session-id", "cookie"} {
					if got.Headers[header] != nil {
						t.Errorf("%s: the app saw %s", name, header)
					}
				}
			}
		})
	}
}
