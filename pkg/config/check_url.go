package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const loopback = "localhost, 127.0.0.1 or [::1]"

func (l *ledger) checkURLs(c *Config) {
	if at := "external_url"; l.sound(at) && c.ExternalURL != "" {
		if problem, fix := badOrigin(c.ExternalURL); problem != "" {
			l.wrong(at, problem, fix)
		}
	}
	if at := "provider.issuer"; l.sound(at) && c.Provider.Issuer != "" {
		if problem, fix := badIssuer(c.Provider.Issuer); problem != "" {
			l.wrong(at, problem, fix)
		}
	}
}

// badURL finds what is wrong with both URLs. It repeats nothing of the text,
// which may hold a password.
func badURL(text, example string) (u *url.URL, problem, fix string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !goodHost(u.Host):
		return nil, "is not a URL with a host", "write one such as " + example
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "is neither https nor http", "write one such as " + example
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, "is plain http", "write https (http only with " + loopback + ")"
	case u.User != nil:
		return nil, "has a user name or password in it", "write it without"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, "has a query or fragment", "write it without"
	}
	return u, "", ""
}

// badIssuer applies OpenID Connect Discovery section 2: no query, no fragment.
// A path is part of the issuer, and so is a slash at its end.
func badIssuer(text string) (problem, fix string) {
	_, problem, fix = badURL(text, "https://id.example.com")
	return problem, fix
}

// badOrigin insists on the one spelling that browsers use in Origin (RFC 6454
// section 6.2), since it is compared with that.
func badOrigin(text string) (problem, fix string) {
	u, problem, fix := badURL(text, "https://app.example.com")
	if problem != "" {
		return problem, fix
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	if right := u.Scheme + "://" + host; right != text {
		if u.Path != "" {
			return "has a path", "write " + right
		}
		return "is not spelled as browsers spell it", "write " + right
	}
	return "", ""
}

// originHost returns the host of external_url, if that is a URL at all.
func originHost(text string) (host string, ok bool) {
	u, problem, _ := badURL(text, "")
	if problem != "" {
		return "", false
	}
	return strings.ToLower(u.Hostname()), true
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// goodHost accepts names, IP addresses and an optional port.
func goodHost(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if !isPort(host[i+1:], 1) {
			return false
		}
		host = host[:i]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Zone() == ""
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

func isPort(text string, least int) bool {
	n, err := strconv.Atoi(text)
	return err == nil && least <= n && n <= 65535 && strconv.Itoa(n) == text
}

// MaxSocketPath is what sockaddr_un holds on the smallest of our systems, with
// the NUL at its end.
const MaxSocketPath = 103

// SplitAddress turns a listen address into the arguments of net.Listen: network
// "unix" with a path, or "tcp" with host:port.
func SplitAddress(address string) (network, where string) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return "unix", path
	}
	return "tcp", address
}

func (l *ledger) checkListen(listen Listen) {
	const check = "listen.check"
	network, where := SplitAddress(listen.Check)
	if l.sound(check) {
		switch {
		case network == "unix" && !strings.HasPrefix(where, "/"):
			l.wrong(check, "is a unix socket without an absolute path", "write unix:///run/lamplighter/check.sock, with three slashes")
		case network == "unix" && (len(where) > MaxSocketPath || strings.HasSuffix(where, "/")):
			l.wrong(check, "is not a path a unix socket can have", "write the path of a file, at most "+strconv.Itoa(MaxSocketPath)+" bytes")
		case network == "tcp" && !isHostPort(where):
			l.wrong(check, "is neither unix:///path nor host:port", "write one such as unix:///run/lamplighter/check.sock or 127.0.0.1:9191")
		}
	}
	if listen.TLS != nil && network == "unix" && l.sound(check, "listen.tls") {
		l.wrong("listen.tls", "is of no use on a unix socket", "leave it out, or write host:port as listen.check")
	}
	l.checkHTTP("listen.admin", listen.Admin, "127.0.0.1:9192")
	if listen.Metrics != "" {
		l.checkHTTP("listen.metrics", listen.Metrics, "0.0.0.0:9193")
	}
	for _, pair := range [][4]string{
		{"listen.admin", listen.Admin, check, listen.Check},
		{"listen.metrics", listen.Metrics, check, listen.Check},
		{"listen.metrics", listen.Metrics, "listen.admin", listen.Admin},
	} {
		if pair[1] == pair[3] && !strings.HasSuffix(pair[1], ":0") && l.sound(pair[0], pair[2]) {
			l.wrong(pair[0], "is the same address as "+pair[2], "write another port")
		}
	}
}

func (l *ledger) checkHTTP(at, address, example string) {
	if l.sound(at) && !isHostPort(address) {
		l.wrong(at, "is not host:port", "write one such as "+example)
	}
}

// isHostPort also takes port 0 (any free one) and an empty host (every address).
func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || !isPort(port, 0) {
		return false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host == "" || goodHost(host)
}
