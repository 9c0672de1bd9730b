package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

// check complains about values that are well-formed one by one but mean nothing,
// or contradict each other. It skips what was complained about before.
func (l *ledger) check(c *Config) {
	l.checkURLs(c)
	l.checkListen(c.Listen)
	l.checkScopes(c.Provider.Scopes)
	l.checkAuthorizationParams(c.Provider.AuthorizationParams)
	l.checkCookie(c)
	l.checkStore(c.Store)
	l.checkTimes(c)
	l.checkPaths(c)
	l.checkHeaders(c.Headers)
	if l.sound("app") && !appName.MatchString(c.App) {
		l.wrong("app", "is not a name", "write 1 to 63 of a-z 0-9 . _ -, starting and ending with a letter or digit")
	}
	if keyLine.MatchString(c.Session.KeysFile) {
		l.wrong("session.keys_file", "looks like a key itself", "write the key into a file and the name of the file here")
	}
}

var (
	appName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
	keyLine = regexp.MustCompile(`^([\w.-]+:)?[A-Za-z0-9+/]{43}=$`)
)

func (l *ledger) checkStore(s Store) {
	if !l.sound("store", "store.bolt", "store.redis", "store.memory") {
		return
	}
	var named []string
	for name, there := range map[string]bool{"bolt": s.Bolt != nil, "redis": s.Redis != nil, "memory": s.Memory != nil} {
		if there {
			named = append(named, name)
		}
	}
	slices.Sort(named)
	if _, given := l.values["store"]; given && len(named) == 0 {
		l.wrong("store", "names no store", "write bolt: {path: /var/lib/lamplighter/sessions.db}, redis: {addresses: [redis:6379]} for replicas, or memory: {} for development")
	}
	if len(named) > 1 {
		l.wrong("store", "names more than one store: "+strings.Join(named, " and "), "keep one of them")
	}
	if s.Redis != nil {
		l.checkRedis(*s.Redis)
	}
}

var keyPrefix = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

func (l *ledger) checkRedis(r Redis) {
	const addresses, prefix, tls = "store.redis.addresses", "store.redis.prefix", "store.redis.tls"
	for i, address := range r.Addresses {
		at := fmt.Sprintf("%s[%d]", addresses, i)
		if l.sound(at) && !isHostPort(address) {
			l.wrong(at, "is not host:port", "write one such as redis:6379")
		}
	}
	if l.sound(prefix) && !keyPrefix.MatchString(r.Prefix) {
		l.wrong(prefix, "is not a prefix of keys", "write 1 to 64 of A-Z a-z 0-9 . _ : -")
	}
	for _, of := range []struct{ at, name, file string }{
		{"store.redis.username", r.Username, r.UsernameFile},
		{"store.redis.sentinel_username", r.SentinelUsername, r.SentinelUsernameFile},
	} {
		if l.sound(of.at) && of.name != "" && of.file != "" {
			l.wrong(of.at, "stands beside the file with it", "leave one of them out")
		}
	}
	if r.TLS != nil && l.sound(tls) && (r.TLS.CertFile == "") != (r.TLS.KeyFile == "") {
		l.wrong(tls, "has one of cert_file and key_file", "write both, or none")
	}
}

func (l *ledger) checkCookie(c *Config) {
	const name, domain = "session.cookie.name", "session.cookie.domain"
	if !l.sound(name, domain) {
		return
	}
	if err := cookie.CheckName(c.Session.Cookie.Name, c.Session.Cookie.Domain); err != nil {
		l.wrongErr(name, err)
	}
	host, ok := originHost(c.ExternalURL)
	if !ok { // complained about already; judge the domain by itself
		host = c.Session.Cookie.Domain
	}
	if err := cookie.CheckDomain(c.Session.Cookie.Domain, host); err != nil {
		l.wrongErr(domain, err)
	}
}

// wrongErr complains with an error of the form "problem; fix".
func (l *ledger) wrongErr(path string, err error) {
	problem, fix, _ := strings.Cut(err.Error(), "; ")
	l.wrong(path, problem, fix)
}

func (l *ledger) checkTimes(c *Config) {
	for _, pair := range []struct {
		low, high string
		a, b      Duration
	}{
		{"refresh.max_wait", "refresh.deadline", c.Refresh.MaxWait, c.Refresh.Deadline},
		{"refresh.jitter", "refresh.deadline", c.Refresh.Jitter, c.Refresh.Deadline},
		{"session.idle", "session.absolute", c.Session.Idle, c.Session.Absolute},
	} {
		if pair.a > pair.b && l.sound(pair.low, pair.high) {
			l.wrong(pair.low, fmt.Sprintf("is longer than %s, %v", pair.high, pair.b), fmt.Sprintf("write at most %v", pair.b))
		}
	}
}

func (l *ledger) checkScopes(scopes []string) {
	const path = "provider.scopes"
	if !l.sound(path) {
		return
	}
	first := make(map[string]int)
	for i, scope := range scopes {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch before, twice := first[scope]; {
		case !l.sound(at):
		case !isScope(scope):
			l.wrong(at, "is not a scope (RFC 6749 section 3.3)", "write one word without spaces, quotes or backslashes")
		case twice:
			l.wrong(at, fmt.Sprintf("is the same as %s[%d]", path, before), "keep one of them")
		default:
			first[scope] = i
		}
	}
	if _, ok := first["openid"]; !ok {
		l.wrong(path, "does not contain openid, so the provider would not sign anyone in", "write scopes: [openid, offline_access]")
	}
}

func isScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
