package rp

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnPath(t *testing.T) {
	t.Parallel()
	keep := []string{
		"/", "/a", "/a/b?c=d&e=%2Ff", "/a//b", "/a?next=//evil.example", "/a?u=https://evil.example", "/a;b=c", "/a@b", "/group%2Fproject",
		"/100%25", "/100%252525", "/%E2%82%AC", "/authors", "/auth-x/login", "/x/auth/login", "/.well-known/x", "/...", "/a.", "/?", "/a?b?c", "/a:b", "/;//x",
	}
	for _, raw := range keep {
		if got := returnPath(raw, "/auth/"); got != raw {
			t.Errorf("%q became %q", raw, got)
		}
	}
	home := []string{
		"", "a", "?a=b", "https://evil.example/", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `/a\b`,
		"/%5cevil.example", "/%2fevil.example", "/%252fevil.example", "/%25252f%2565vil.example", "/%2525252525252fevil.example",
		"/../x", "/a/../../evil", "/./a", "/a/..", "/%2e%2e/x", "/.%2e/x", "/%252e%252e/x", "/a/%2e", "/..%2fx", "/%25/%252e%252e//evil.example",
		"/\tevil", "\t//evil.example", "/\n/evil.example", "/a b", "/a\r\nSet-Cookie: x=y", "/%0d%0aLocation:x", "/%00", "/%7f", "/\x00", "/é", "/a#b",
		"/%", "/%zz", "/%4", "javascript:alert(1)", "/auth", "/auth/", "/auth/login", "/auth/logout?x", "/%61uth/login", "/auth%2flogin", "/auth%252Flogin",
		"user@evil.example", "//user@evil.example", "@evil.example", ".evil.example", ":80/x", "/" + strings.Repeat("a", maxReturnPath),
	}
	for _, raw := range home {
		if got := returnPath(raw, "/auth/"); got != "/" {
			t.Errorf("%q became %q, want /", raw, got)
		}
	}
}

// What must hold whatever the input: both a strict reader (net/url) and a
// browser stay on the site, outside the relying party's own paths.
func FuzzReturnPath(f *testing.F) {
	for _, seed := range []string{
		"/", "/a?b=c", "//evil.example", `/\evil.example`, "/\t/evil.example", "/%2f%2fevil.example", "/a/..//evil.example", "/%2e%2e//x",
		"https:evil.example", "/auth/../auth/login", "/a#//b", "\x00//evil.example", "/%5c%5cevil", "/?//evil", "/é//", "/%25252f/x",
	} {
		f.Add(seed)
	}
	base, err := url.Parse("https://app.example.com/auth/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := returnPath(raw, "/auth/")
		if got != raw && got != "/" {
			t.Fatalf("%q became %q: neither itself nor home", raw, got)
		}
		ref, err := url.Parse(got)
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		to := base.ResolveReference(ref)
		if to.Scheme != base.Scheme || to.Host != base.Host || to.User != nil {
			t.Fatalf("%q leads to %q", got, to)
		}
		path, ok := inBrowser(got)
		if !ok || strings.HasPrefix(path, "//") || strings.HasPrefix(path+"/", "/auth/") {
			t.Fatalf("%q: a browser goes to %q, %v", got, path, ok)
		}
		if got != raw && returnPath(got, "/auth/") != got {
			t.Fatalf("%q is not stable", got)
		}
	})
}

// inBrowser is the URL Standard's parser, as far as a Location against an https
// base goes: trim, drop tabs and line ends, \ is /, dot segments go, encoded ones
// too. ok is false when the authority or the scheme changes.
func inBrowser(s string) (path string, ok bool) {
	s = strings.TrimFunc(s, func(c rune) bool { return c <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	s, _, _ = strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	s = strings.ReplaceAll(s, `\`, "/")
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return s, false
	}
	var out []string
	for _, segment := range strings.Split(s[1:], "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".":
			out = append(out, "")
		case "..":
			out = append(out[:max(0, len(out)-1)], "")
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/"), true
}
