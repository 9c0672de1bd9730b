package op

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answer is a response that is not sent yet: the token endpoint edits it, and
// the RoundTripper hands it over.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	drip   time.Duration // between the bytes of body; 0 sends it at once
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

// setHeader puts header over what is there.
func (a *answer) setHeader(header map[string]string) {
	for name, value := range header {
		a.header.Set(name, value)
	}
}

// pad appends spaces until the body is n bytes.
func (a *answer) pad(n int) {
	if missing := n - a.body.Len(); missing > 0 {
		a.body.Write(bytes.Repeat([]byte{' '}, missing))
	}
}

func (a *answer) writeTo(w http.ResponseWriter) {
	a.writeHeaderTo(w)
	_, _ = w.Write(a.body.Bytes()) // the caller left; nobody to tell
}

func (a *answer) writeHeaderTo(w http.ResponseWriter) {
	for name, values := range a.header {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
}

// response is what the caller gets of a. It closes with closed.
func (a *answer) response(r *http.Request, closed <-chan struct{}) *http.Response {
	a.WriteHeader(http.StatusOK)
	body := io.NopCloser(&a.body)
	if a.drip > 0 {
		body = newDripping(r.Context(), a, closed)
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: body, ContentLength: int64(a.body.Len()), Request: r,
	}
}
