package authz

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/lamplighter/lamplighter/pkg/cookie"
	"golang.org/x/net/http/httpguts"
)

// Far beyond what Envoy lets pass by default (60 KiB, 100 headers), and little
// enough for every look at it to be cheap.
const (
	maxTarget = 64 << 10
	maxFields = 1000
)

var (
	errNotHTTP = errors.New("check without an HTTP request")
	errTooBig  = errors.New("check of an oversized request")
)

// request is what Envoy says of one request. What every Check needs is read
// once; the rest is looked up where a decision asks for it, which on the hot
// path is never.
type request struct {
	http   *authv3.AttributeContext_HttpRequest
	method string
	target string // path and query, as on the wire: visible ASCII that starts with a slash
	path   string // without the query

	cookies    cookie.Header
	authorized bool     // has an authorization header
	upgrade    bool     // has an upgrade header
	lookalikes []string // names that an upstream may read as guarded ones
}

// read reads both forms of the headers: the raw entries of header_map
// (encode_raw_headers), or the merged map. Envoy fills one of them.
func read(check *authv3.CheckRequest, g *guard) (request, error) {
	h := check.GetAttributes().GetRequest().GetHttp()
	r := request{http: h, method: h.GetMethod(), target: h.GetPath()}
	raw, merged := h.GetHeaderMap().GetHeaders(), h.GetHeaders()
	switch {
	case r.method == "" || !strings.HasPrefix(r.target, "/") || strings.ContainsFunc(r.target, notInTarget):
		return r, errNotHTTP
	case len(r.target) > maxTarget || len(raw)+len(merged) > maxFields:
		return r, errTooBig
	}
	r.path, _, _ = strings.Cut(r.target, "?")
	for name, value := range merged {
		if r.note(g, name) {
			r.cookies = cookie.Merged(value)
		}
	}
	var lines []string
	for _, entry := range raw {
		if r.note(g, entry.GetKey()) {
			lines = append(lines, text(entry))
		}
	}
	if lines != nil { // the truth, where the map has a copy
		r.cookies = cookie.Raw(lines)
	}
	if !slices.ContainsFunc(r.lookalikes, notName) {
		return r, nil
	}
	return r, errNotHTTP // Envoy might balk at removing it
}

// notInTarget: Envoy answers these with 400 itself.
func notInTarget(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }

func notName(name string) bool { return !httpguts.ValidHeaderFieldName(name) }

// note takes in one header name, and reports whether it is Cookie.
func (r *request) note(g *guard, name string) (isCookie bool) {
	switch len(name) {
	case len("cookie"):
		if strings.EqualFold(name, "cookie") {
			return true
		}
	case len("upgrade"):
		r.upgrade = r.upgrade || strings.EqualFold(name, "upgrade")
	}
	switch g.look(name) {
	case exactlyBearer:
		r.authorized = true
	case lookalike:
		r.lookalikes = append(r.lookalikes, name)
	}
	return false
}

// text is the value of a raw entry. Envoy uses raw_value; the field is
// documented as one of two.
func text(entry *corev3.HeaderValue) string {
	if raw := entry.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return entry.GetValue()
}

// fields yields every header of the request with its value, pseudo headers too.
func (r *request) fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, entry := range r.http.GetHeaderMap().GetHeaders() {
			if !yield(entry.GetKey(), text(entry)) {
				return
			}
		}
		for name, value := range r.http.GetHeaders() {
			if !yield(name, value) {
				return
			}
		}
	}
}

// values yields the values of one header; name is lower-case.
func (r *request) values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, entry := range r.http.GetHeaderMap().GetHeaders() {
			if strings.EqualFold(entry.GetKey(), name) && !yield(text(entry)) {
				return
			}
		}
		for key, value := range r.http.GetHeaders() {
			if strings.EqualFold(key, name) && !yield(value) {
				return
			}
		}
	}
}

// preflight is a question a browser asks before a cross-origin request (Fetch
// section 3.3.2). It carries no cookies, so it cannot have a session.
func (r *request) preflight() bool {
	if r.method == http.MethodOptions {
		for range r.values("access-control-request-method") {
			return true
		}
	}
	return false
}

// navigation: a browser shows the answer as a page, so a redirect can work.
func (r *request) navigation() bool {
	if r.method != http.MethodGet && r.method != http.MethodHead {
		return false
	}
	for mode := range r.values("sec-fetch-mode") {
		return mode == "navigate"
	}
	for with := range r.values("x-requested-with") { // scripts in browsers without Sec-Fetch-Mode
		return with == ""
	}
	for accept := range r.values("accept") {
		return r.method == http.MethodGet && strings.Contains(accept, "text/html")
	}
	return false
}

// forgeable: another site could have made the browser send this with its
// cookies, and it may change something or open a socket.
func (r *request) forgeable(origin string) bool {
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if !r.upgrade {
			return false
		}
	}
	judged := false
	for site := range r.values("sec-fetch-site") {
		judged = true
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	if judged {
		return false
	}
	for from := range r.values("origin") {
		if from != origin {
			return true
		}
	}
	return false
}

// credential is what a client put into authorization.
type credential uint8

const (
	bearer    credential = iota // one Bearer token (RFC 6750 section 2.1)
	otherwise                   // another scheme
	manifold                    // several credentials: who reads which?
)

// credential of a request that is authorized. Envoy joins several lines with a
// comma before it asks.
func (r *request) credential() credential {
	n, kind := 0, otherwise
	for value := range r.values(authorization) {
		if n++; n > 1 || strings.Contains(value, ",") {
			return manifold
		}
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "bearer") && isToken68(token) {
			kind = bearer
		}
	}
	return kind
}

// isToken68: RFC 9110 section 11.2.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c > '~' || !alphanumeric(byte(c)) && !strings.ContainsRune("-._~+/", c)
	})
}

// body is what Envoy has buffered (with_request_body), usually nothing.
func (r *request) body() io.Reader {
	if raw := r.http.GetRawBody(); len(raw) > 0 {
		return bytes.NewReader(raw)
	}
	return strings.NewReader(r.http.GetBody())
}
