package authz

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Bearer is what happens to an Authorization header that the client sent.
type Bearer string

// The bearer modes. Where a session is served, the client's header is replaced
// whatever the mode.
const (
	BearerStrip  Bearer = "strip"  // removed
	BearerReject Bearer = "reject" // 401
	// BearerPass lets one Bearer credential reach upstream when there is no
	// session: API clients with their own token. Other schemes are removed, and
	// several credentials at once are refused (400).
	BearerPass Bearer = "pass"
)

// Rule says what requests below a path need.
type Rule struct {
	// PathPrefix is compared in whole segments and with case, on the path only:
	// /a and /a/ both match /a, /a/ and /a/b, and neither matches /ab. (A rule
	// that guards /admin/ must not leave /admin to the next one.)
	PathPrefix string
	NoSession  bool   // allowed without a session, and always without identity
	Bearer     Bearer // empty: BearerStrip
}

// rules are tried in order.
type rules []Rule

func newRules(given []Rule) rules {
	var rs rules
	for _, r := range given {
		r.PathPrefix = strings.TrimSuffix(r.PathPrefix, "/")
		rs = append(rs, r)
	}
	return rs
}

// of returns the rule of a path. The zero Rule, which demands a session and
// strips, holds where none matches and for every path that is not canonical.
func (rs rules) of(path string) Rule {
	if len(rs) == 0 || !canonical(path) {
		return Rule{}
	}
	for _, r := range rs {
		if rest, ok := strings.CutPrefix(path, r.PathPrefix); ok && (rest == "" || rest[0] == '/') {
			return r
		}
	}
	return Rule{}
}

// canonical: every reader of the path sees the same segments. Envoy leaves paths
// as they are unless told to normalize them, and an upstream may find another
// place behind one than we do: /public/..%2fadmin must not be public, nor
// /%61dmin be outside /admin.
func canonical(path string) bool {
	encoded := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			if ambiguousSegment(path[i+1:]) {
				return false
			}
		case c == '%':
			plain, err := url.PathUnescape(path[i:min(i+3, len(path))])
			if err != nil || ambiguousEscape(plain[0]) {
				return false
			}
			encoded, i = true, i+2
		case c <= ' ' || c >= 0x7f || c == '\\' || c == ';': // some servers cut ;parameters off first
			return false
		}
	}
	if !encoded {
		return true
	}
	plain, err := url.PathUnescape(path)
	return err == nil && utf8.ValidString(plain) // overlong forms of / and . are not
}

// ambiguousSegment looks at what follows a slash: another slash, or . and ..
func ambiguousSegment(rest string) bool {
	segment, more, inside := strings.Cut(rest, "/")
	return segment == "." || segment == ".." || segment == "" && (inside || more != "")
}

// ambiguousEscape: c is a byte that needs no escape, so that some readers
// compare it decoded and others do not (RFC 3986 section 6.2.2.2), or one whose
// decoded form divides a path.
func ambiguousEscape(c byte) bool {
	return c < ' ' || c == 0x7f || alphanumeric(c) || strings.IndexByte("-._~/\\%;?#", c) >= 0
}
