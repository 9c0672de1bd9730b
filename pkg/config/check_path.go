package config

import (
	"fmt"
	"path"
	"strings"
)

func (l *ledger) checkPaths(c *Config) {
	if at := "path_prefix"; l.sound(at) {
		switch p := c.PathPrefix; {
		case !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/"):
			l.wrong(at, "does not start and end with /", "write one such as /auth/")
		case p == "/":
			l.wrong(at, "covers the whole app", "write one such as /auth/")
		default:
			l.checkPath(at, p)
		}
	}
	for i, r := range c.Rules {
		at := fmt.Sprintf("rules[%d].match.path_prefix", i)
		switch p := r.Match.PathPrefix; {
		case p == "": // said before
		case !strings.HasPrefix(p, "/"):
			l.wrong(at, "does not start with /", "write one such as /public/")
		default:
			if l.checkPath(at, p) {
				l.checkReached(c.Rules[:i], at, p)
			}
		}
	}
}

// checkPath refuses spellings that a request path never has once Envoy has
// normalized it: such a prefix would match nothing.
func (l *ledger) checkPath(at, p string) bool {
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	switch {
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(p, `?#\"<>^|{}`+"`"):
		l.wrong(at, "is not a path", "write plain segments such as /a/b/, without a query")
	case strings.Contains(p, "%2F"), strings.Contains(p, "%2f"), strings.Contains(p, "%5C"), strings.Contains(p, "%5c"):
		l.wrong(at, "has an escaped slash, which Envoy rejects", "write plain segments such as /a/b/")
	case clean != p:
		l.wrong(at, "is not in its normal form", "write "+clean)
	default:
		return true
	}
	return false
}

// checkReached complains about a rule that an earlier one hides. Rules match whole
// segments, so /a and /a/ are one.
func (l *ledger) checkReached(earlier []Rule, at, p string) {
	segments := func(prefix string) string { return strings.TrimSuffix(prefix, "/") + "/" }
	for i, r := range earlier {
		switch q := r.Match.PathPrefix; {
		case q == "": // said before
		case segments(q) == segments(p):
			l.wrong(at, fmt.Sprintf("is the same as in rules[%d]", i), "keep one of them")
			return
		case strings.HasPrefix(segments(p), segments(q)):
			l.wrong(at, fmt.Sprintf("is never reached, rules[%d] matches first", i), fmt.Sprintf("put it before rules[%d]", i))
			return
		}
	}
}
