package authz

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// loginTarget makes the relying party begin a login that comes back here.
func (s *Server) loginTarget(r request) string {
	return s.opts.PathPrefix + "login?return_to=" + url.QueryEscape(r.target)
}

// relying runs the relying party's handler inside a Check: its answer becomes a
// denied_response, whatever its status.
func (s *Server) relying(ctx context.Context, r request, method, target string) *authv3.CheckResponse {
	at, err := url.ParseRequestURI(target)
	if err != nil {
		return s.denied(r, decision{kind: malformed})
	}
	// Host and scheme are the configured ones: the client chooses what Envoy tells.
	at.Scheme, at.Host = s.opts.ExternalURL.Scheme, s.opts.ExternalURL.Host
	req := (&http.Request{
		Method: method, URL: at, Host: at.Host, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.headersFor(r), Body: http.NoBody,
	}).WithContext(ctx)
	w := &recorder{header: make(http.Header)}
	s.opts.RP.ServeHTTP(w, req)
	return w.answer()
}

// headersFor is what the relying party reads. Of the cookies it gets ours, each
// on a line of its own, so that it need not know in which form Envoy sent them.
func (s *Server) headersFor(r request) http.Header {
	h := make(http.Header)
	for name, value := range map[string]string{
		"Accept": r.accept, "Origin": r.origin, "Sec-Fetch-Site": r.fetchSite, "Sec-Fetch-Mode": r.fetchMode,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if r.hasCookie {
		for name, value := range r.cookies.Match(s.ours) {
			h.Add("Cookie", name+"="+value)
		}
	}
	return h
}

// recorder is the http.ResponseWriter of a Check.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // informational answers have no place in a Check
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// answer leaves out what Envoy writes itself, and whatever would split the
// response (ENVOY.md section 4).
func (w *recorder) answer() *authv3.CheckResponse {
	w.WriteHeader(http.StatusOK)
	var headers []*corev3.HeaderValueOption
	for name, values := range w.header {
		name = strings.ToLower(name)
		if name == "content-length" || name == "transfer-encoding" || name == "connection" || !safe(name) {
			continue
		}
		for _, value := range values {
			if safe(value) {
				headers = append(headers, line(name, value))
			}
		}
	}
	body := w.body.String()
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		body = ""
	}
	return deny(w.status, body, headers)
}
