package rp

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxBody    = 1 << 20 // of any answer of the OP
	keysTime   = 5 * time.Second
	keysWindow = time.Minute
	keysBurst  = 6
)

// oneTimeTransport is an http.Transport that does not repeat a request, nor
// write it into a connection that is likely dead: a one-time token would be
// spent without an answer.
//
// HTTP/1.1 only: net/http's HTTP/2 repeats a POST after GOAWAY and after a
// PROTOCOL_ERROR of the peer. Its HTTP/1.1 repeats one only if no byte of it was
// written. Idle connections are dropped before servers drop them, of which some
// wait 2 s (gunicorn) or 5 s (Node.js, Apache): a request that meets the end of a
// connection on its way has no answer, and nobody knows what became of it.
func oneTimeTransport() *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		Protocols:              &http1,
		IdleConnTimeout:        time.Second,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// clientOf refuses redirects: a token must not follow one, and nothing else of
// an OP needs to.
func clientOf(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// capped bounds the bodies that go-oidc reads whole.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	}
	return resp, err
}

var errThrottled = errors.New("fetched too often within a minute")

// throttled bounds the fetches of the key set: go-oidc fetches it for every
// signature it cannot verify.
type throttled struct {
	next http.RoundTripper

	mu     sync.Mutex
	since  time.Time
	number int
}

func (t *throttled) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.allow(time.Now()) {
		return nil, errThrottled
	}
	return t.next.RoundTrip(r)
}

func (t *throttled) allow(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= keysWindow {
		t.since, t.number = now, 0
	}
	t.number++
	return t.number <= keysBurst
}
