package op

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

var errClosed = errors.New("provider is closed")

// inProcess serves requests by calling the provider.
type inProcess struct{ provider *Provider }

// RoundTripper reaches the provider without a network, whatever host the
// request names. A cancelled request context is a cut connection: the caller
// returns at once, the provider handles the request to its end, unless a
// [Fault] holds it. A connection cut by a fault is io.ErrUnexpectedEOF, and it
// tells net/http/httptrace nothing unless the request fails before it is written
// ([Fault].Unsent). After [Provider.Close] every request fails.
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
	in, err := t.provider.strikes(r, arriving(r, body))
	if err != nil {
		return nil, err
	}
	done := make(chan *answer, 1)
	if !t.provider.start(func() { done <- t.provider.serve(in) }) {
		return nil, errClosed
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
	return a.response(r, t.provider.closed), nil
}

type faultKey struct{}

// strikes finds the fault of a token POST before it counts as written, and fails
// it if it is not to be. The fault goes on with the request: it struck once.
func (p *Provider) strikes(out, in *http.Request) (*http.Request, error) {
	if in.Method != http.MethodPost || in.URL.Path != p.tokenPath {
		return in, nil
	}
	_ = in.ParseForm() // the endpoint meets the same error
	fault := p.faults.strike(grantType(in.FormValue("grant_type")))
	if fault.Unsent != "" {
		if fault.Delay > 0 {
			if err := wait(out.Context(), p.closed, time.Duration(fault.Delay)); err != nil {
				return nil, err
			}
		}
		return nil, fault.Unsent.fail(out)
	}
	return in.WithContext(context.WithValue(in.Context(), faultKey{}, fault)), nil
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
