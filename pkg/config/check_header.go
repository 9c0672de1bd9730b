package config

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

func (l *ledger) checkHeaders(h Headers) {
	type use struct{ path, name string }
	uses := []use{
		{"headers.user_id", h.UserID}, {"headers.email", h.Email}, {"headers.name", h.Name},
		{"headers.auth_time", h.AuthTime}, {"headers.session_id", h.SessionID},
	}
	for claim, name := range h.Claims {
		at := join("headers.claims", claim)
		switch {
		case !l.sound(at):
		case claim == "":
			l.add(l.keys[at], at, "has no claim name", "write claim: Header-Name")
		case name == "":
			l.wrong(at, "has no header", "write "+claim+": X-User-Claim, or remove it")
		default:
			uses = append(uses, use{at, name})
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int {
		p, q := l.values[a.path], l.values[b.path]
		return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column), cmp.Compare(a.path, b.path))
	})
	first := make(map[string]string)
	for _, u := range uses {
		if u.name == "" {
			continue
		}
		normal := normalHeader(u.name)
		if problem, fix := badHeader(u.name, normal); problem != "" {
			l.wrong(u.path, problem, fix)
		} else if other, twice := first[normal]; twice {
			l.wrong(u.path, "is the same header as "+other+" (upstreams may read _ and . as -)", "give each its own")
		} else {
			first[normal] = u.path
		}
	}
}

// normalHeader maps the spellings that some upstream takes for one header
// (CGI-style variables turn "-" and "." into "_").
func normalHeader(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

// owned are headers that carry the request itself: Envoy refuses to set some of
// them, and setting the others breaks the request or the session.
var owned = []string{
	"authorization", "cookie", "set-cookie", "host", "content-length", "content-type", "transfer-encoding",
	"connection", "keep-alive", "te", "trailer", "upgrade", "expect", "proxy-authorization", "proxy-connection",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id", "forwarded",
}

func badHeader(name, normal string) (problem, fix string) {
	const fixName = "write one such as X-User-ID"
	switch {
	case strings.HasPrefix(name, ":"):
		return "is a pseudo header", fixName
	case !httpguts.ValidHeaderFieldName(name):
		return "is not a header name (letters, digits, -)", fixName
	case slices.Contains(owned, normal):
		return "is a header of the request itself", fixName
	case strings.HasPrefix(normal, "x-envoy-"):
		return "belongs to Envoy", fixName
	}
	return "", ""
}
