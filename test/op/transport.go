package op

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// answer is a response that is not sent yet: the token endpoint edits it, and
// the RoundTripper hands it over.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter; the first status stays.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body.Bytes()) // the caller left; nobody to tell
}

func (a *answer) response(r *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}
}

// inProcess serves requests by calling the provider.
type inProcess struct{ provider *Provider }

// RoundTripper reaches the provider without a network, whatever host the
// request names. A cancelled request context is a cut connection: the caller
// returns at once, the provider handles the request to its end, unless a
// [Fault] holds it. After [Provider.Close] every request fails.
func (p *Provider) RoundTripper() http.RoundTripper { return inProcess{p} }

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read request body: %w", err)
		}
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	done := make(chan *answer, 1)
	if !t.provider.start(func() { done <- t.provider.serve(arriving(r, body)) }) {
		return nil, errors.New("provider is closed")
	}
	var a *answer
	select {
	case a = <-done:
	case <-ctx.Done():
		select {
		case a = <-done: // both at once: the answer was here
		default:
			return nil, context.Cause(ctx)
		}
	}
	if a == nil {
		return nil, fmt.Errorf("read answer: %w", io.ErrUnexpectedEOF)
	}
	return a.response(r), nil
}

// arriving is r as a server sees it.
func arriving(r *http.Request, body []byte) *http.Request {
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	return in
}

// start runs serve in a goroutine that Close waits for.
func (p *Provider) start(serve func()) bool {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	select {
	case <-p.closed:
		return false
	default:
	}
	p.serving.Go(serve)
	return true
}

// serve returns nil for a connection that was cut instead of answered.
func (p *Provider) serve(r *http.Request) (a *answer) {
	defer func() {
		if cause := recover(); cause == http.ErrAbortHandler {
			a = nil
		} else if cause != nil {
			panic(cause)
		}
	}()
	a = newAnswer()
	p.ServeHTTP(a, r)
	return a
}
