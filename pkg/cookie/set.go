package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Prefixes that make a browser refuse a cookie which a plain-text site or a
// sibling subdomain tries to plant (RFC 6265bis section 4.1.3). Every cookie of
// ours carries one.
const (
	PrefixHost   = "__Host-"   // Secure, Path=/, no Domain
	PrefixSecure = "__Secure-" // Secure
)

// Session builds the Set-Cookie of a cookie of ours: HttpOnly, Secure,
// SameSite=Lax (the provider's redirect back is a cross-site navigation and must
// carry it), Path=/. maxAge is rounded up to whole seconds; zero or less expires
// the cookie. Use an empty domain with __Host- names.
func Session(name, value string, maxAge time.Duration, domain string) *http.Cookie {
	if maxAge <= 0 {
		return Expire(name, domain)
	}
	return &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     "/",
		Domain:   domain,
		MaxAge:   int((maxAge + time.Second - 1) / time.Second),
		Secure:   true,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// Expire builds the Set-Cookie that removes the cookie Session made. Name,
// domain, path and Secure must be the same, or the browser keeps the old one.
func Expire(name, domain string) *http.Cookie {
	c := Session(name, "", time.Second, domain)
	c.MaxAge = -1 // written as Max-Age=0
	c.Expires = time.Unix(1, 0)
	return c
}

// CheckName tells whether a cookie of ours may have this name together with
// this domain: an RFC 6265 token that starts with __Host- (without a domain) or
// __Secure-. The error says what would be right.
func CheckName(name, domain string) error {
	switch {
	case name == "":
		return errors.New("is empty; write a name such as __Host-bff_session")
	case !httpguts.ValidHeaderFieldName(name): // a token too
		return errors.New("is not a cookie name (RFC 6265 token); use letters, digits, - and _")
	case name == PrefixHost || name == PrefixSecure:
		return fmt.Errorf("is only a prefix; write a name such as %sbff_session", name)
	case strings.HasPrefix(name, PrefixHost) && domain != "":
		return fmt.Errorf("starts with __Host-, which forbids a domain; write %s%s, or drop the domain",
			PrefixSecure, name[len(PrefixHost):])
	case strings.HasPrefix(name, PrefixHost), strings.HasPrefix(name, PrefixSecure):
		return nil
	case domain != "":
		return errors.New("has no __Secure- prefix, so a plain-text site could set it; write __Secure-bff_session")
	}
	return errors.New("has no __Host- or __Secure- prefix, so another site could set it; write __Host-bff_session")
}

// CheckDomain tells whether domain may be the Domain attribute of a cookie for
// host (no port): a name of at least two labels which is host or a parent of it.
// The empty domain is always right. The error says what would be right.
func CheckDomain(domain, host string) error {
	if domain == "" {
		return nil
	}
	if strings.HasPrefix(domain, ".") {
		return errors.New("starts with a dot; leave it away, subdomains are included anyway")
	}
	if _, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
		return errors.New("is an IP address, which cookies cannot have as a domain; leave it empty")
	}
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, notHostname) || l[0] == '-' || l[len(l)-1] == '-' {
			return errors.New("is not a domain; write a lower-case one such as example.com")
		}
	}
	if len(labels) < 2 {
		return errors.New("is a single label, which browsers refuse; write a domain such as example.com, or leave it empty")
	}
	if host != domain && !strings.HasSuffix(host, "."+domain) {
		return fmt.Errorf("does not cover the host %s, so browsers would refuse the cookie; write %s or a parent of it", host, host)
	}
	return nil
}

func notHostname(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
}
