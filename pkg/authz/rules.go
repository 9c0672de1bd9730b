package authz

import "strings"

// Bearer is what happens to an Authorization header that the client sent.
type Bearer string

// The bearer modes. Where a session is served, the client's header is replaced
// whatever the mode.
const (
	BearerStrip  Bearer = "strip"  // removed
	BearerReject Bearer = "reject" // 401
	BearerPass   Bearer = "pass"   // reaches upstream when there is no session: API clients with their own token
)

// Rule says what requests below a path need.
type Rule struct {
	PathPrefix string // in whole segments: /a and /a/ match /a and /a/b, not /ab
	NoSession  bool   // allowed without a session, and without identity
	Bearer     Bearer // empty: BearerStrip
}

func (s *Server) rule(path string) Rule {
	if len(s.opts.Rules) > 0 && canonical(path) {
		for _, r := range s.opts.Rules {
			base := strings.TrimSuffix(r.PathPrefix, "/")
			if rest, ok := strings.CutPrefix(path, base); ok && (rest == "" || rest[0] == '/') {
				return r
			}
		}
	}
	return Rule{Bearer: BearerStrip}
}

// canonical: every reader of the path sees the same segments. A path that an
// upstream may resolve to another place matches no rule, so it needs a session:
// /public/..%2fadmin must not be public.
func canonical(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, `\`) {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";") // some servers cut parameters off first
		if segment == "." || segment == ".." {
			return false
		}
	}
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return true
		}
		if len(after) < 2 || ambiguous(after[:2]) {
			return false
		}
		rest = after
	}
}

// ambiguous: the escapes of dot, slash, backslash, percent, semicolon, NUL.
func ambiguous(hex string) bool {
	switch strings.ToLower(hex) {
	case "2e", "2f", "5c", "25", "3b", "00":
		return true
	}
	return false
}
