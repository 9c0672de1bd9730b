package rp

import (
	"net/url"
	"slices"
	"strings"
)

const (
	maxReturnPath = 2048 // it travels in a cookie, of which browsers take 4096 bytes
	maxEncodings  = 4
)

// returnPath is where a login goes back to: raw itself if it is an absolute path
// (and query) on this site, else "/". prefix is the relying party's own, where
// nobody wants to go back to.
//
// Browsers, proxies and applications disagree on what \, //, /../, control
// characters and their encodings mean, so none of them passes, however often
// encoded.
func returnPath(raw, prefix string) string {
	const home = "/"
	if len(raw) > maxReturnPath || !visible(raw, '!') || strings.ContainsAny(raw, `\#`) {
		return home
	}
	path, _, _ := strings.Cut(raw, "?")
	if _, err := url.PathUnescape(path); err != nil {
		return home
	}
	for range maxEncodings {
		if !plainPath(path) || strings.HasPrefix(path+"/", prefix) {
			return home
		}
		decoded := decodeOnce(path)
		if decoded == path {
			return raw
		}
		path = decoded
	}
	return home
}

// decodeOnce decodes what is percent-encoded and lets a stray % be, as lenient
// software does.
func decodeOnce(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, err := url.PathUnescape(path[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func plainPath(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return false
	}
	for i := range len(path) {
		if path[i] < ' ' || path[i] == 0x7f || path[i] == '\\' {
			return false
		}
	}
	return !slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}
