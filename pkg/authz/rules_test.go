package authz

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestTheRuleOfAPath(t *testing.T) {
	t.Parallel()
	open := newRules([]Rule{{PathPrefix: "/public/", NoSession: true}, {PathPrefix: "/a b", NoSession: true}, {PathPrefix: "/logo.svg", NoSession: true}})
	shut := newRules([]Rule{{PathPrefix: "/admin/"}, {PathPrefix: "/", NoSession: true}})
	for _, tt := range []struct {
		rules  rules
		path   string
		public bool
	}{
		{open, "/public/", true},
		{open, "/public", true}, // see Rule.PathPrefix
		{open, "/public/a/b.js", true},
		{open, "/public/a%20b/%C3%A9%E2%82%AC", true},
		{open, "/public/a:b@c!$&'()*+,=~", true},
		{open, "/public/...", true},
		{open, "/public/.well-known/x..y", true},
		{open, "/logo.svg", true},
		{open, "/logo.svg/x", true},
		{open, "/publications", false},
		{open, "/publi", false},
		{open, "/Public/", false},
		{open, "/x/public/", false},
		{open, "/", false},
		{open, "/logo.svgz", false},

		{open, "/public/..", false},
		{open, "/public/../admin", false},
		{open, "/public/./a", false},
		{open, "/public/a/.", false},
		{open, "//public/", false},
		{open, "/public//a", false},
		{open, "/public//", false},
		{open, `/public/..\admin`, false},
		{open, `/public/a\b`, false},
		{open, "/public/%2e%2e/admin", false},
		{open, "/public/.%2E/admin", false},
		{open, "/public/..%2fadmin", false},
		{open, "/public%2Fa", false},
		{open, "/public/%5c..", false},
		{open, "/public/%252e%252e/admin", false},
		{open, "/public/a;/../../admin", false},
		{open, "/public/..;/admin", false},
		{open, "/public/a;x=1", false},
		{open, "/public/a%3bx=1", false},
		{open, "/public/%00", false},
		{open, "/public/%0d%0a", false},
		{open, "/public/%7f", false},
		{open, "/public/a%3f", false},
		{open, "/public/a%23", false},
		{open, "/public/%c0%ae%c0%ae/admin", false}, // overlong
		{open, "/public/%c0%af", false},
		{open, "/public/%ff", false},
		{open, "/public/%", false},
		{open, "/public/%4", false},
		{open, "/public/%4g", false},
		{open, "/public/%u002e", false},
		{open, "/%70ublic/", false},
		{open, "/public/\u00e9", false},
		{open, "/public/ x", false},

		{shut, "/", true},
		{shut, "/x", true},
		{shut, "/administer", true},
		{shut, "/admin/x", false},
		{shut, "/admin/", false},
		{shut, "/admin", false},
		{shut, "/%61dmin/x", false},
		{shut, "/x/../admin", false},
		{shut, "/admin%2fx", false},
		{shut, "//admin", false},
		{shut, "/admin;a=b/x", false},

		{nil, "/public/", false},
	} {
		if got := tt.rules.of(tt.path).NoSession; got != tt.public {
			t.Errorf("%q: public %t", tt.path, got)
		}
	}
}

func TestTheFirstMatchDecides(t *testing.T) {
	t.Parallel()
	rs := newRules([]Rule{{PathPrefix: "/a/b", Bearer: BearerReject}, {PathPrefix: "/a", Bearer: BearerPass}, {PathPrefix: "/a/c", NoSession: true}})
	for path, want := range map[string]Rule{
		"/a/b/x": {PathPrefix: "/a/b", Bearer: BearerReject}, "/a/bc": {PathPrefix: "/a", Bearer: BearerPass},
		"/a/c": {PathPrefix: "/a", Bearer: BearerPass}, "/b": {}, "/a/../a": {},
	} {
		if got := rs.of(path); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

// readings are what upstreams were seen to make of a path.
func readings(p string) []string {
	all := []string{p}
	for range 2 { // decoded, and by some twice
		last := all[len(all)-1]
		if plain, err := url.PathUnescape(last); err == nil {
			all = append(all, plain)
		}
	}
	for _, read := range []func(string) string{
		func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
		func(p string) string { // servlet path parameters
			segments := strings.Split(p, "/")
			for i, s := range segments {
				segments[i], _, _ = strings.Cut(s, ";")
			}
			return strings.Join(segments, "/")
		},
		func(p string) string { p, _, _ = strings.Cut(p, "\x00"); return p },
		path.Clean,
	} {
		for _, p := range all[:len(all):len(all)] {
			all = append(all, read(p))
		}
	}
	return all
}

// below tells whether every reading of p lies below dir.
func below(p, dir string) bool {
	for _, reading := range readings(p) {
		clean := path.Clean(reading)
		if clean != dir && !strings.HasPrefix(clean, dir+"/") {
			return false
		}
	}
	return true
}

func FuzzPublicPath(f *testing.F) {
	for _, seed := range []string{"/public/", "/public/%2e%2e/x", "/public/..;/x", `/public/a\..\..\x`, "/public/%252e%252e%252fx", "/public/%c0%ae/", "/public/a%00/../x", "/publiC", "/public/.."} {
		f.Add(seed)
	}
	rs := newRules([]Rule{{PathPrefix: "/public/", NoSession: true}})
	f.Fuzz(func(t *testing.T, p string) {
		if rs.of(p).NoSession && !below(p, "/public") {
			t.Errorf("%q is public, and may be read as one of %q", p, readings(p))
		}
	})
}
