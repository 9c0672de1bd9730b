package authz

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// status is the HTTP status of a verdict that we answer ourselves.
func (v verdict) status() int {
	switch v {
	case noSession, noBearer:
		return http.StatusUnauthorized
	case twoBearers, malformed:
		return http.StatusBadRequest
	case crossSite:
		return http.StatusForbidden
	default:
		return http.StatusServiceUnavailable
	}
}

// denied writes the answers that no relying party is needed for. Trouble of
// ours is a 503 to come back after: never a login, never a cleared cookie.
func (s *Server) denied(r *request, d decision) *authv3.CheckResponse {
	httpStatus := d.verdict.status()
	switch d.verdict {
	case noSession:
		return problem(httpStatus, "There is no session. Sign in at "+s.opts.PathPrefix+"login.", s.challenge())
	case noBearer:
		return problem(httpStatus, "This path takes no Authorization header. Sign in at "+s.opts.PathPrefix+"login.", s.challenge())
	case twoBearers:
		return problem(httpStatus, "The Authorization header holds more than one credential.")
	case malformed:
		return problem(httpStatus, "The request cannot be read.")
	case crossSite:
		return problem(httpStatus, "Another site must not make this request.")
	}
	seconds := strconv.Itoa(int(math.Ceil(max(d.retryAfter, minRetryAfter).Seconds())))
	retry := line("retry-after", seconds)
	if !r.navigation() {
		return problem(httpStatus, "The session cannot be served right now. Try again in "+seconds+" s.", retry)
	}
	return deny(httpStatus, fmt.Sprintf(retryPage, seconds), []*corev3.HeaderValueOption{
		retry, line("content-type", "text/html; charset=utf-8"), line("cache-control", "no-store"),
		line("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"),
		line("x-content-type-options", "nosniff"),
	})
}

// challenge: a 401 needs one (RFC 9110 section 15.5.2), and Bearer needs a
// parameter (RFC 6750 section 3).
func (s *Server) challenge() *corev3.HeaderValueOption {
	return line("www-authenticate", `Bearer realm="`+s.settings.origin+`"`)
}

const retryPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="%s"><title>One moment</title>
<style>body{font:1.1rem sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;line-height:1.5}</style>
<h1>One moment</h1>
<p>This page cannot be shown right now. You are still signed in; it tries again by itself.</p>
</html>
`

// problem is an answer for programs (RFC 9457).
func problem(httpStatus int, detail string, more ...*corev3.HeaderValueOption) *authv3.CheckResponse {
	body, err := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(httpStatus), httpStatus, detail})
	if err != nil {
		body = nil // two strings and a number: cannot fail
	}
	return deny(httpStatus, string(body), append(more,
		line("content-type", "application/problem+json"), line("cache-control", "no-store")))
}
