package authz

import (
	"errors"
	"net/http"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/cookie"
)

// request is what Envoy says of one request, as far as it matters.
type request struct {
	method string
	target string // path and query, as on the wire
	path   string // without the query

	cookies   cookie.Header
	hasCookie bool

	authorization string
	// guarded are the request's spellings of authorization and of our identity
	// headers, lower-case: all that a client must not supply.
	guarded []string

	accept, origin, upgrade    string
	fetchMode, fetchSite       string
	preflight, manyCredentials bool
}

var errNotHTTP = errors.New("check without an HTTP request")

// read reads both forms of the headers: raw entries of header_map, or the
// merged map (ENVOY.md section 1).
func (s *Server) read(check *authv3.CheckRequest) (request, error) {
	h := check.GetAttributes().GetRequest().GetHttp()
	if h == nil || h.GetMethod() == "" || !strings.HasPrefix(h.GetPath(), "/") {
		return request{}, errNotHTTP
	}
	r := request{method: h.GetMethod(), target: h.GetPath()}
	r.path, _, _ = strings.Cut(r.target, "?")
	var lines []string
	for _, e := range h.GetHeaderMap().GetHeaders() {
		value := e.GetValue()
		if raw := e.GetRawValue(); len(raw) > 0 {
			value = string(raw)
		}
		if name := strings.ToLower(e.GetKey()); name == "cookie" {
			lines = append(lines, value)
		} else {
			s.header(&r, name, value)
		}
	}
	if len(lines) > 0 {
		r.cookies, r.hasCookie = cookie.Raw(lines), true
		return r, nil
	}
	for name, value := range h.GetHeaders() {
		if name = strings.ToLower(name); name == "cookie" {
			r.cookies, r.hasCookie = cookie.Merged(value), true
		} else {
			s.header(&r, name, value)
		}
	}
	return r, nil
}

func (s *Server) header(r *request, name, value string) {
	if s.guards(name) {
		r.guarded = append(r.guarded, name)
	}
	switch name {
	case "authorization":
		// Envoy joins several lines with a comma before it asks.
		r.manyCredentials = r.authorization != "" || strings.Contains(value, ",")
		r.authorization = value
	case "accept":
		r.accept = value
	case "origin":
		r.origin = value
	case "upgrade":
		r.upgrade = value
	case "sec-fetch-mode":
		r.fetchMode = value
	case "sec-fetch-site":
		r.fetchSite = value
	case "access-control-request-method":
		r.preflight = r.method == http.MethodOptions
	}
}

// guards tells whether name is a spelling of a header that only we may set.
// Upstreams that build environment variables read -, _ and . alike.
func (s *Server) guards(name string) bool {
	if strings.ContainsAny(name, "_.") {
		name = fold(name)
	}
	_, ok := s.guarded[name]
	return ok
}

func fold(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// navigation: the browser shows the answer as a page, so a redirect can work.
func (r request) navigation() bool {
	if r.method != http.MethodGet && r.method != http.MethodHead {
		return false
	}
	if r.fetchMode != "" {
		return r.fetchMode == "navigate"
	}
	return r.method == http.MethodGet && strings.Contains(r.accept, "text/html")
}

// forgeable: another site could have made the browser send this with its
// cookies, and the request changes something or opens a socket.
func (r request) forgeable(origin string) bool {
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if !strings.EqualFold(r.upgrade, "websocket") {
			return false
		}
	}
	switch r.fetchSite {
	case "same-origin", "none":
		return false
	case "cross-site":
		return true
	}
	// A sibling subdomain, or a browser without Sec-Fetch-Site; clients that are
	// no browsers send no Origin either.
	return r.fetchSite != "" && r.origin == "" || r.origin != "" && r.origin != origin
}
