package authz

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http/httpguts"
)

// maxPage bounds the relying party where Envoy has no timeout: no browser waits
// longer for a page.
const maxPage = 30 * time.Second

// relying runs the relying party's handler inside a Check: its answer becomes a
// denied_response, whatever its status.
func (s *Server) relying(ctx context.Context, r *request) *authv3.CheckResponse {
	return s.run(ctx, r, r.method, r.target, r.body())
}

// login makes the relying party begin a login that comes back to r.
func (s *Server) login(ctx context.Context, r *request) *authv3.CheckResponse {
	target := s.opts.PathPrefix + "login?return_to=" + url.QueryEscape(r.target)
	return s.run(ctx, r, http.MethodGet, target, http.NoBody)
}

func (s *Server) run(ctx context.Context, r *request, method, target string, body io.Reader) *authv3.CheckResponse {
	at, err := url.ParseRequestURI(target)
	if err != nil {
		return s.denied(r, decision{verdict: malformed})
	}
	ctx, cancel := inTime(ctx, maxPage)
	defer cancel()
	// Host and scheme are the configured ones: those that Envoy tells are the client's choice.
	at.Scheme, at.Host = s.opts.ExternalURL.Scheme, s.opts.ExternalURL.Host
	req := (&http.Request{
		Method: method, URL: at, Host: at.Host, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.headersFor(r), Body: io.NopCloser(body), ContentLength: -1,
	}).WithContext(ctx)
	w := &recorder{header: make(http.Header)}
	s.opts.RP.ServeHTTP(w, req)
	return w.answer()
}

// headersFor is the request's headers, and of the cookies ours, each on a line of
// its own: the handler need not know in which form Envoy sent them.
func (s *Server) headersFor(r *request) http.Header {
	h := make(http.Header)
	for name, value := range r.fields() {
		if !strings.HasPrefix(name, ":") && !strings.EqualFold(name, "cookie") {
			h.Add(name, value)
		}
	}
	for name, value := range r.cookies.Match(s.ours) {
		h.Add("Cookie", name+"="+value)
	}
	return h
}

// recorder is the http.ResponseWriter of a Check.
type recorder struct {
	header http.Header
	status int
	sent   http.Header // header as it was when status was written
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // informational answers have no place in a Check
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// answer leaves out what Envoy writes itself, and whatever would split the
// response.
func (w *recorder) answer() *authv3.CheckResponse {
	w.WriteHeader(http.StatusOK)
	w.sent.Set("Cache-Control", "no-store")
	var headers []*corev3.HeaderValueOption
	for name, values := range w.sent {
		name = strings.ToLower(name)
		if !httpguts.ValidHeaderFieldName(name) || hopByHop(name) {
			continue
		}
		for _, value := range values {
			if sendable(value) {
				headers = append(headers, line(name, value))
			}
		}
	}
	return deny(w.status, strings.ToValidUTF8(w.body.String(), "\uFFFD"), headers)
}

// hopByHop: headers of the connection, which is Envoy's, and Envoy's own.
func hopByHop(name string) bool {
	switch name {
	case "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "host":
		return true
	}
	return strings.HasPrefix(name, "x-envoy-")
}
