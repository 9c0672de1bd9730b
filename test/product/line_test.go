package product

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// line is lamplighter's way to the provider. While it is down, connections are
// refused. A trouble befalls refresh requests, and nothing else.
type line struct {
	to   http.RoundTripper
	down atomic.Bool

	mu      sync.Mutex
	trouble trouble
	met     int // refresh requests that lamplighter has tried to send
	at      []time.Time
}

// trouble does what a network, a proxy or a provider may do to one request;
// forward hands it to the provider.
type trouble func(r *http.Request, forward func() (*http.Response, error)) (*http.Response, error)

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if r.Method != http.MethodPost || r.Body == nil {
		return l.to.RoundTrip(r)
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	forward := func() (*http.Response, error) {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(form))
		return l.to.RoundTrip(again)
	}
	values, err := url.ParseQuery(string(form))
	if err != nil || values.Get("grant_type") != "refresh_token" {
		return forward()
	}
	l.mu.Lock()
	what := l.trouble
	l.met++
	l.at = append(l.at, time.Now())
	l.mu.Unlock()
	if what == nil {
		return forward()
	}
	return what(r, forward)
}

// set makes what befall every later refresh request; nil ends it.
func (l *line) set(what trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = what
}

// once makes what befall the next refresh request only.
func (l *line) once(what trouble) {
	l.set(func(r *http.Request, forward func() (*http.Response, error)) (*http.Response, error) {
		l.set(nil)
		return what(r, forward)
	})
}

// requests is how many refresh requests lamplighter has tried to send.
func (l *line) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.met
}

// answers in the provider's place: the request never reaches it.
func answers(status int, body string, header ...string) trouble {
	return func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		resp := &http.Response{
			Status: fmt.Sprint(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
		}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			resp.Header.Set(name, value)
		}
		return resp, nil
	}
}

// cutBefore: the connection is reset, and the provider never sees the request.
func cutBefore(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// cutAfter: the provider has handled the request, its answer is lost.
func cutAfter(_ *http.Request, forward func() (*http.Response, error)) (*http.Response, error) {
	if resp, err := forward(); err == nil {
		_ = resp.Body.Close()
	}
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// hangs: nobody answers, and the provider never sees the request.
func hangs(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// slow: the answer takes so long, whether or not somebody still waits.
func slow(d time.Duration) trouble {
	return func(r *http.Request, forward func() (*http.Response, error)) (*http.Response, error) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return forward()
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}

// noTLS: the handshake fails, so no byte of the request is written. net/http
// tells of that by asking for a connection and never having one.
func noTLS(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
	if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.GetConn != nil {
		t.GetConn(r.URL.Host)
	}
	return nil, &tls.CertificateVerificationError{Err: fmt.Errorf("certificate has expired")}
}

// edited is the provider's own answer with some members replaced; a null text
// leaves one out.
func edited(members map[string]string) trouble {
	return func(_ *http.Request, forward func() (*http.Response, error)) (*http.Response, error) {
		resp, err := forward()
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		var answer map[string]json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return nil, err
		}
		for name, text := range members {
			if text == "" {
				delete(answer, name)
			} else {
				answer[name] = json.RawMessage(text)
			}
		}
		body, err := json.Marshal(answer)
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return resp, nil
	}
}
