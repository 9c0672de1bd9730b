package authz

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/lamplighter/lamplighter/pkg/session"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/status"
)

const authorization = "authorization"

func (i Identity) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, name := range []string{i.UserID, i.Email, i.Name, i.AuthTime, i.SessionID} {
			if name != "" && !yield(name) {
				return
			}
		}
		for _, name := range i.Claims {
			if !yield(name) {
				return
			}
		}
	}
}

// Encoder prepares the headers of a session once, when it is published.
type Encoder struct {
	identity Identity
	hash     func(session.ID) string
}

// NewEncoder returns an Encoder. hash names a session to upstreams without
// telling its id.
func NewEncoder(i Identity, hash func(session.ID) string) Encoder { return Encoder{i, hash} }

// encoded is what View.Headers holds: shared by all answers, never changed.
type encoded struct {
	set []*corev3.HeaderValueOption
	has map[string]struct{} // names in set
}

// Encode prepares the headers of s, and tells their size in bytes.
func (e Encoder) Encode(s session.Session) (headers any, size int64) {
	out := &encoded{has: make(map[string]struct{})}
	add := func(name, value string) {
		if name == "" || value == "" || !safe(value) {
			return
		}
		name = strings.ToLower(name)
		out.set = append(out.set, overwrite(name, value))
		out.has[name] = struct{}{}
		size += int64(2*len(name) + len(value) + 256) // three small messages and a map entry
	}
	add(authorization, "Bearer "+s.Token.Access.Reveal())
	add(e.identity.UserID, s.Identity.Subject)
	add(e.identity.Email, s.Identity.Email)
	add(e.identity.Name, s.Identity.Name)
	if !s.Identity.AuthTime.IsZero() {
		add(e.identity.AuthTime, s.Identity.AuthTime.UTC().Format(time.RFC3339))
	}
	if e.identity.SessionID != "" {
		add(e.identity.SessionID, e.hash(s.ID))
	}
	for claim, name := range e.identity.Claims {
		add(name, s.Identity.Claims[claim])
	}
	return out, size
}

// safe: Envoy writes a value as it is (ENVOY.md section 4), and a protobuf
// string carries UTF-8 only.
func safe(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// overwrite: the value replaces all that the client sent (ENVOY.md section 2).
func overwrite(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value}, // Envoy does not read raw_value in answers
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// ok is the one constructor of an allow.
func (s *Server) ok(r request, d decision) *authv3.CheckResponse {
	out := &authv3.OkHttpResponse{}
	mine := &encoded{}
	if d.kind == allow {
		mine = d.view.Headers.(*encoded)
		out.Headers = mine.set
	}
	for _, name := range r.guarded {
		if _, set := mine.has[name]; !set && !(d.keepBearer && name == authorization) {
			out.HeadersToRemove = append(out.HeadersToRemove, name)
		}
	}
	for _, name := range s.always { // Envoy may have been told to show us less
		if _, set := mine.has[name]; !set && !slices.Contains(out.HeadersToRemove, name) {
			out.HeadersToRemove = append(out.HeadersToRemove, name)
		}
	}
	if r.hasCookie {
		rest, changed := r.cookies.Strip(s.ours)
		if changed && !utf8.ValidString(rest) {
			rest = onlyUTF8(rest)
		}
		if changed && rest == "" {
			out.HeadersToRemove = append(out.HeadersToRemove, "cookie")
		} else if changed {
			// A new slice: mine.set is shared by every answer for this session.
			out.Headers = append(slices.Clip(out.Headers), overwrite("cookie", rest))
		}
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(code.Code_OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: out},
	}
}

// onlyUTF8 gives up the cookies that an answer cannot carry. They would reach
// the app only together with ours.
func onlyUTF8(cookies string) string {
	crumbs := strings.Split(cookies, ";")
	crumbs = slices.DeleteFunc(crumbs, func(crumb string) bool { return !utf8.ValidString(crumb) })
	return strings.TrimSpace(strings.Join(crumbs, ";"))
}

// ours: cookies that are for us alone.
func (s *Server) ours(name string) bool {
	return name == s.opts.CookieName || strings.HasPrefix(name, s.opts.OwnCookies)
}

// deny is the one constructor of a denial. Header lines are pairs.
func deny(httpStatus int, body string, headers []*corev3.HeaderValueOption) *authv3.CheckResponse {
	if httpStatus < 200 || httpStatus > 599 { // Envoy would make an allow-like mess of it
		httpStatus, body, headers = http.StatusServiceUnavailable, "", nil
	}
	c := code.Code_PERMISSION_DENIED
	if httpStatus == http.StatusUnauthorized {
		c = code.Code_UNAUTHENTICATED
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(c)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(httpStatus)}, Headers: headers, Body: body,
		}},
	}
}

func line(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}}
}

// denied answers what no relying party is needed for.
func (s *Server) denied(r request, d decision) *authv3.CheckResponse {
	switch d.kind {
	case malformed:
		return problem(http.StatusBadRequest, "The request cannot be read.")
	case crossSite:
		return problem(http.StatusForbidden, "Another site must not make this request.")
	case noSession:
		return problem(http.StatusUnauthorized, "There is no session. Sign in at "+s.opts.PathPrefix+"login.", line("www-authenticate", "Bearer"))
	}
	seconds := strconv.Itoa(int(math.Ceil(max(d.retryAfter, minRetryAfter).Seconds())))
	retry := line("retry-after", seconds)
	if !r.navigation() {
		return problem(http.StatusServiceUnavailable, "Sign-in is not available at the moment. Try again in "+seconds+" s.", retry)
	}
	return deny(http.StatusServiceUnavailable, fmt.Sprintf(retryPage, seconds), []*corev3.HeaderValueOption{
		retry, line("content-type", "text/html; charset=utf-8"), line("cache-control", "no-store"),
		line("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"), line("x-content-type-options", "nosniff"),
	})
}

const retryPage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="%s">
<title>One moment</title><style>body{font:1.1rem system-ui;margin:20vh auto;max-width:30rem;text-align:center}</style></head>
<body><h1>One moment</h1><p>Sign-in is not available right now. You are still signed in; this page tries again by itself.</p></body></html>
`

// problem is an RFC 9457 answer for programs.
func problem(httpStatus int, detail string, more ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(httpStatus), httpStatus, detail})
	if err != nil {
		body = nil // four plain fields: cannot fail
	}
	return deny(httpStatus, string(body), append(more,
		line("content-type", "application/problem+json"), line("cache-control", "no-store")))
}
