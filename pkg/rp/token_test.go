package rp_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

// stored is a session as a login leaves it.
func stored(refresh string) session.Session {
	return session.Session{
		ID: session.NewHandle().ID(), Revision: 1, Provider: issuer,
		Token:    session.Token{Refresh: session.RefreshToken{Secret: session.NewSecret(refresh)}},
		Identity: session.Identity{Subject: "user-1"},
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		w.browser().login(p, "/")
		s := w.vault.sessions()[0]
		for range 3 {
			time.Sleep(40 * time.Second)
			now := time.Now()
			a := w.Refresh(t.Context(), s)
			g := a.Grant
			if a.Class != session.Renewed || !a.Sent || a.Err != nil || !g.Issued.Equal(now) || g.Lifetime != time.Minute ||
				g.Access == s.Token.Access || g.Refresh == s.Token.Refresh || g.Refresh.IsZero() || g.Identity.Subject != s.Identity.Subject {
				t.Fatalf("answer %+v", a)
			}
			s = s.Renew(g, session.Policy{Threshold: time.Minute})
		}
		spent := w.vault.sessions()[0]
		if a := w.Refresh(t.Context(), spent); a.Class != session.Dead || !a.Sent || !strings.Contains(a.Err.Error(), "400 invalid_grant") {
			t.Errorf("a spent token: %+v", a)
		}
		if l := p.Ledger(); l.Reuse != 1 || l.ReceivedBy["refresh_token"]["200"] != 3 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestRefreshOfAnotherProviderIsNotSent(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	s := stored("r")
	s.Provider = "https://former.example"
	if a := w.Refresh(t.Context(), s); a.Class != session.Refused || a.Sent || a.Err == nil || tokenPosts(p) != 0 {
		t.Errorf("answer %+v, %d token requests", a, tokenPosts(p))
	}
}

func TestRefreshWithoutProvider(t *testing.T) {
	t.Parallel()
	w := undiscovered(t, options(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })))
	if a := w.Refresh(t.Context(), stored("r")); a.Class != session.Transient || a.Sent || a.Err == nil {
		t.Errorf("answer %+v", a)
	}
	if err := w.Revoke(t.Context(), stored("r")); err == nil {
		t.Error("revoked without a provider")
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	for _, style := range []rp.AuthStyle{rp.AuthBasic, rp.AuthPost, rp.AuthPublic} {
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			h.metadata["revocation_endpoint"] = issuer + "/revoke"
			w, b := h.world(t, func(o *rp.Options) {
				if o.AuthStyle = style; style == rp.AuthPublic {
					o.ClientSecret = nil
				}
			})
			if resp := h.login(b, "/"); resp.StatusCode != http.StatusSeeOther {
				t.Fatalf("login: %d", resp.StatusCode)
			}
			if a := w.Refresh(t.Context(), stored("r-0")); a.Class != session.Renewed {
				t.Fatalf("refresh: %+v", a)
			}
			if err := w.Revoke(t.Context(), stored("r-0")); err != nil {
				t.Fatal(err)
			}
			posts := h.posted()
			for i, r := range posts {
				id, secret, basic := r.BasicAuth()
				f := r.PostForm
				ok := f.Get("client_id") == clientID && !basic
				switch style {
				case rp.AuthBasic: // each half encoded by itself, then joined by a colon
					ok = basic && id == url.QueryEscape(clientID) && secret == url.QueryEscape(clientSecret) && !f.Has("client_id") && !f.Has("client_secret")
				case rp.AuthPost:
					ok = ok && f.Get("client_secret") == clientSecret
				case rp.AuthPublic:
					ok = ok && !f.Has("client_secret")
				}
				if !ok || r.Header.Get("Accept") != "application/json" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
					t.Errorf("request %d: %v %v", i, r.Header, f)
				}
			}
			if f := posts[0].PostForm; f.Get("grant_type") != "authorization_code" || f.Get("redirect_uri") != external+"/auth/callback" || len(f.Get("code_verifier")) < 43 || f.Get("code") == "" {
				t.Errorf("code exchange: %v", f)
			}
			if f := posts[1].PostForm; f.Get("grant_type") != "refresh_token" || f.Get("refresh_token") != "r-0" || f.Has("scope") {
				t.Errorf("refresh: %v", f)
			}
			if f := posts[2].PostForm; f.Get("token") != "r-0" || f.Get("token_type_hint") != "refresh_token" {
				t.Errorf("revocation: %v", f)
			}
		})
	}
}

func TestSecretIsReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	secret, reads := "old", 0
	var unreadable error
	w, _ := h.world(t, func(o *rp.Options) {
		o.ClientSecret = func() (session.Secret, error) {
			reads++
			return session.NewSecret(secret), unreadable
		}
	})
	h.token = func(h *hostile, _ url.Values) (int, string) {
		if posts := h.posted(); !strings.HasSuffix(basicSecret(posts[len(posts)-1]), "new") {
			return 401, `{"error":"invalid_client"}`
		}
		return 200, `{"access_token":"a"}`
	}
	try := func(want session.Class, wantReads int) {
		t.Helper()
		if a := w.Refresh(t.Context(), stored("r")); a.Class != want || reads != wantReads {
			t.Errorf("%v after %d reads, want %v after %d: %v", a.Class, reads, want, wantReads, a.Err)
		}
	}
	try(session.Misconfigured, 1)
	try(session.Misconfigured, 2)
	secret, unreadable = "new", errors.New("gone")
	try(session.Misconfigured, 3) // the old one is all there is
	unreadable = nil
	try(session.Renewed, 4)
	try(session.Renewed, 4)
	if !strings.Contains(w.log.String(), "client secret cannot be read again") {
		t.Error("the operator is not told")
	}
}

func basicSecret(r *http.Request) string {
	_, secret, _ := r.BasicAuth()
	return secret
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	w.browser().login(p, "/")
	elsewhere := w.vault.sessions()[0]
	elsewhere.Provider = "https://former.example" // and its token is not for this one to see
	if err := w.Revoke(t.Context(), elsewhere); err != nil || p.Ledger().Revoked != 0 {
		t.Errorf("of another provider: %v, %d revoked", err, p.Ledger().Revoked)
	}
	if err := w.Revoke(t.Context(), w.vault.sessions()[0]); err != nil {
		t.Fatal(err)
	}
	if l := p.Ledger(); l.RevokedBy[op.ReasonRevocation] != 1 {
		t.Errorf("ledger %+v", l)
	}
	h := newHostile(t) // has no revocation endpoint
	w, _ = h.world(t)
	if err := w.Revoke(t.Context(), stored("r")); err != nil || len(h.posted()) != 0 {
		t.Errorf("without an endpoint: %v, %d requests", err, len(h.posted()))
	}
	for _, status := range []int{201, 302, 400, 401, 503} {
		h = newHostile(t)
		h.metadata["revocation_endpoint"] = issuer + "/revoke"
		h.token = func(*hostile, url.Values) (int, string) { return status, "{}" }
		w, _ = h.world(t)
		if err := w.Revoke(t.Context(), stored("r")); err == nil {
			t.Errorf("%d is taken for success", status)
		}
	}
}

// What is on the wire at the other end of a real socket.
func TestSent(t *testing.T) {
	t.Parallel()
	ok := `HTTP/1.1 200 OK` + "\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + `{"access_token":"a"}`
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	tests := []struct {
		name     string
		endpoint string // in place of a listener
		serve    func(net.Conn)
		class    session.Class
		sent     bool
		err      string
	}{
		{name: "answered", serve: func(c net.Conn) { readRequest(c); say(c, ok) }, class: session.Renewed, sent: true},
		{name: "refused", endpoint: "http://" + closedPort(t), class: session.Transient, err: "connection refused"},
		{name: "no such host", endpoint: "http://nowhere.invalid", class: session.Transient, err: "nowhere.invalid"},
		{name: "certificate of nobody", endpoint: nobody(t), class: session.Transient, err: "certificate"},
		{name: "TLS with something else", endpoint: "https", serve: func(c net.Conn) { say(c, "220 mail.example ESMTP\r\n") }, class: session.Transient, err: "TLS handshake"},
		{name: "TLS handshake cut", endpoint: "https", serve: func(c net.Conn) { _, _ = io.ReadAtLeast(c, make([]byte, 5), 5) }, class: session.Transient, err: "not sent"},
		{name: "accepted, closed unread", serve: func(net.Conn) {}, class: session.Unknown, sent: true, err: "clos|reset|pipe"},
		{name: "closed after the request", serve: readRequest, class: session.Unknown, sent: true, err: "closed before the answer"},
		{name: "reset after the request", serve: func(c net.Conn) { readRequest(c); reset(c) }, class: session.Unknown, sent: true, err: "reset"},
		{name: "no answer in time", serve: func(c net.Conn) { readRequest(c); <-hang }, class: session.Unknown, sent: true, err: "no answer in time"},
		{name: "half a header", serve: func(c net.Conn) { readRequest(c); say(c, "HTTP/1.1 200 OK\r\nX:"); <-hang }, class: session.Unknown, sent: true, err: "no answer in time"},
		{name: "half a body", serve: func(c net.Conn) { readRequest(c); say(c, ok[:len(ok)-3]) }, class: session.Unknown, sent: true, err: "closed before"},
		{name: "half a body, then silence", serve: func(c net.Conn) { readRequest(c); say(c, ok[:len(ok)-3]); <-hang }, class: session.Unknown, sent: true, err: "no answer in time"},
		{name: "not HTTP, an echo of the token", serve: func(c net.Conn) { readRequest(c); say(c, "grant_type=refresh_token&refresh_token=canary\r\n") }, class: session.Unknown, sent: true, err: "not HTTP"},
		{name: "header without end", serve: func(c net.Conn) {
			readRequest(c)
			say(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("canary", 1<<17))
		}, class: session.Unknown, sent: true, err: "not HTTP|reset"},
		{name: "10 MB of body", serve: func(c net.Conn) {
			readRequest(c)
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"+strings.Repeat(" ", 10<<20))
		}, class: session.Unknown, sent: true, err: "too long"},
		{name: "a body without end", serve: func(c net.Conn) {
			readRequest(c)
			say(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, class: session.Unknown, sent: true, err: "too long"},
		{name: "redirect", serve: func(c net.Conn) {
			readRequest(c)
			say(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
		}, class: session.Unknown, sent: true, err: "307"},
		{name: "103, then the answer", serve: func(c net.Conn) { readRequest(c); say(c, "HTTP/1.1 103 Early Hints\r\n\r\n"+ok) }, class: session.Renewed, sent: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			endpoint, accepted := tt.endpoint, new(atomic.Int32)
			if tt.serve != nil {
				endpoint = listen(t, strings.HasPrefix(endpoint, "https"), accepted, tt.serve)
			}
			w, s := withEndpoint(t, endpoint)
			timeout := 10 * time.Second
			if strings.Contains(tt.err, "in time") {
				timeout = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			before := time.Now()
			a := w.Refresh(ctx, s)
			if a.Class != tt.class || a.Sent != tt.sent || (a.Err == nil) != (tt.err == "") {
				t.Fatalf("answer %+v", a)
			}
			if a.Err != nil && !containsOne(a.Err.Error(), tt.err) || a.Err != nil && strings.Contains(a.Err.Error(), "canary") {
				t.Errorf("error %q, want %q", a.Err, tt.err)
			}
			if tt.class == session.Renewed && (a.Grant.Issued.Before(before.Round(0)) || a.Grant.Issued.After(time.Now())) {
				t.Errorf("issued %v, asked at %v", a.Grant.Issued, before)
			}
			if tt.serve != nil && accepted.Load() != 1 {
				t.Errorf("%d connections", accepted.Load())
			}
		})
	}
}

// A connection that dies while it is idle may swallow a request, and whether it
// did is not always to be known. Then the answer says so: nothing is sent twice.
func TestDyingConnectionsDoNotRepeatARequest(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, `{"access_token":"a"}`)
	}))
	defer server.Close()
	w, s := withEndpoint(t, server.URL)
	for range 50 {
		before := requests.Load()
		a := w.Refresh(t.Context(), s)
		switch got := requests.Load() - before; {
		case a.Class == session.Renewed && got == 1:
		case a.Class == session.Unknown && a.Sent && got <= 1:
		default:
			t.Fatalf("%d requests, answer %+v", got, a)
		}
		server.CloseClientConnections()
	}
}

// The life of a token is counted from the instant before its request is written,
// however long the way to a connection was.
func TestIssuedIsAfterTheDial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHostile(t)
		discovery := h.transport()
		slow := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			here, there := net.Pipe()
			go func() {
				readRequest(there)
				time.Sleep(2 * time.Second)
				say(there, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"+`{"access_token":"a"}`)
			}()
			return here, nil
		}}
		defer slow.CloseIdleConnections()
		w, _ := h.world(t, func(o *rp.Options) {
			o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/token" {
					return slow.RoundTrip(r)
				}
				return discovery.RoundTrip(r)
			})
		})
		start := time.Now()
		a := w.Refresh(t.Context(), stored("canary"))
		if got := a.Grant.Issued.Sub(start); a.Class != session.Renewed || got != 3*time.Second {
			t.Errorf("issued %v after the start: %+v", got, a)
		}
	})
}

func TestPastDeadlineNothingIsSent(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := w.Refresh(ctx, stored("r")); a.Class != session.Transient || a.Sent || tokenPosts(p) != 0 {
		t.Errorf("answer %+v, %d token requests", a, tokenPosts(p))
	}
}

// A RoundTripper that tells nothing counts as sent, unless it says it was dialing.
func TestUnknownTransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		sent bool
	}{
		{errors.New("what"), true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false},
	} {
		h := newHostile(t)
		real := h.transport()
		w, _ := h.world(t, func(o *rp.Options) {
			o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/token" {
					return nil, tt.err
				}
				return real.RoundTrip(r)
			})
		})
		if a := w.Refresh(t.Context(), stored("r")); a.Sent != tt.sent || a.Err == nil {
			t.Errorf("%v: answer %+v", tt.err, a)
		}
	}
}

// withEndpoint is a relying party whose own transport talks to the token
// endpoint; its provider's other endpoints are somewhere else.
func withEndpoint(t *testing.T, endpoint string) (*world, session.Session) {
	t.Helper()
	h := newHostile(t)
	provider := httptest.NewServer(h)
	t.Cleanup(provider.Close)
	h.metadata["issuer"], h.metadata["jwks_uri"], h.metadata["token_endpoint"] = provider.URL, provider.URL+"/keys", endpoint+"/token"
	o := options(t, nil)
	o.Issuer = provider.URL
	s := stored("canary")
	s.Provider = o.Issuer
	return newWorld(t, o), s
}

// listen serves every connection and returns its base URL.
func listen(t *testing.T, tls bool, accepted *atomic.Int32, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	if tls {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

func readRequest(c net.Conn) {
	var text strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(text.String(), "refresh_token=canary") {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		text.Write(b[:n])
	}
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// nobody is a TLS server whose certificate nobody vouches for.
func nobody(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func containsOne(text, alternatives string) bool {
	for _, a := range strings.Split(alternatives, "|") {
		if strings.Contains(text, a) {
			return true
		}
	}
	return false
}
