package config_test

import (
	"strings"
	"testing"
)

// with writes one value of the base differently.
func with(old, changed string) string {
	if !strings.Contains(base, old) {
		panic("not in the base: " + old)
	}
	return strings.Replace(base, old, changed, 1)
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	const (
		https    = "write https (http only with localhost, 127.0.0.1 or [::1])"
		noIssuer = "is not a URL with a host; write one such as https://id.example.com"
		noOrigin = "is not a URL with a host; write one such as https://app.example.com"
	)
	var tests []badCase
	for issuer, complaint := range map[string]string{
		"http://id.example.com":         "is plain http; " + https,
		"http://127.0.0.2":              "is plain http; " + https,
		"http://localhost.example.com":  "is plain http; " + https,
		"ftp://id.example.com":          "is neither https nor http; write one such as https://id.example.com",
		"id.example.com":                noIssuer,
		"https:id.example.com":          noIssuer,
		"https://":                      noIssuer,
		"https://:443":                  noIssuer,
		"https://id.example.com:99999":  noIssuer,
		"https://id.example.com:0x50":   noIssuer,
		"https://id.example.com:":       noIssuer,
		"https://[::1":                  noIssuer,
		"https://[fe80::1%25eth0]":      noIssuer,
		"https://id .example.com":       noIssuer,
		"https://id,example.com":        noIssuer,
		"https://id.example.com/%zz":    noIssuer,
		"https://u:p@id.example.com":    "has a user name or password in it; write it without",
		"https://id.example.com?x=1":    "has a query or fragment; write it without",
		"https://id.example.com/?":      "has a query or fragment; write it without",
		"https://id.example.com/a#":     "has a query or fragment; write it without",
		"https://id.example.com/a#frag": "has a query or fragment; write it without",
	} {
		tests = append(tests, badCase{
			issuer, with("https://id.example.com", `"`+issuer+`"`), nil, []string{"config:2:20: provider.issuer: " + complaint},
		})
	}
	const spelled = "is not spelled as browsers spell it; write https://app.example.com"
	for origin, complaint := range map[string]string{
		"http://app.example.com":        "is plain http; " + https,
		"app.example.com":               noOrigin,
		"https://app.example.com/":      "has a path; write https://app.example.com",
		"https://app.example.com/shop":  "has a path; write https://app.example.com",
		"https://App.example.com/shop":  "has a path; write https://app.example.com",
		"https://App.Example.com":       spelled,
		"https://app.example.com:443":   spelled,
		"HTTPS://app.example.com":       spelled,
		"http://localhost:80":           "is not spelled as browsers spell it; write http://localhost",
		"https://u@app.example.com":     "has a user name or password in it; write it without",
		"https://app.example.com?x":     "has a query or fragment; write it without",
		"https://app.example.com#login": "has a query or fragment; write it without",
	} {
		tests = append(tests, badCase{
			origin, with("https://app.example.com", `"`+origin+`"`), nil, []string{"config:1:15: external_url: " + complaint},
		})
	}
	mustComplain(t, tests)
}

func TestBadMeaning(t *testing.T) {
	t.Parallel()
	noUnix := "write unix:///run/lamplighter/check.sock, with three slashes"
	mustComplain(t, []badCase{
		{"listen", base + "listen: {check: unix://run/check.sock, admin: unix:///run/admin.sock}", nil, []string{
			"config:5:17: listen.check: is a unix socket without an absolute path; " + noUnix,
			"config:5:47: listen.admin: is not host:port; write one such as 127.0.0.1:9192",
		}},
		{"no port", base + "listen: {check: localhost, admin: \"9192\"}", nil, []string{
			"config:5:17: listen.check: is neither unix:///path nor host:port; write one such as unix:///run/lamplighter/check.sock or 127.0.0.1:9191",
			"config:5:35: listen.admin: is not host:port; write one such as 127.0.0.1:9192",
		}},
		{"bad port", base + "listen: {check: \"localhost:http\", admin: \"::1:9192\"}", nil, []string{
			"config:5:17: listen.check: is neither unix:///path nor host:port; write one such as unix:///run/lamplighter/check.sock or 127.0.0.1:9191",
			"config:5:42: listen.admin: is not host:port; write one such as 127.0.0.1:9192",
		}},
		{"odd port", base + "listen: {check: \"127.0.0.1:+80\", admin: \"127.0.0.1:080\"}", nil, []string{
			"config:5:17: listen.check: is neither unix:///path nor host:port; write one such as unix:///run/lamplighter/check.sock or 127.0.0.1:9191",
			"config:5:41: listen.admin: is not host:port; write one such as 127.0.0.1:9192",
		}},
		{"not even an address, twice", base + "listen: {check: x, admin: x}", nil, []string{
			"config:5:17: listen.check: is neither unix:///path nor host:port; write one such as unix:///run/lamplighter/check.sock or 127.0.0.1:9191",
			"config:5:27: listen.admin: is not host:port; write one such as 127.0.0.1:9192",
		}},
		{"socket path of a directory", base + "listen: {check: unix:///run/}", nil, []string{
			"config:5:17: listen.check: is not a path a unix socket can have; write the path of a file, at most 103 bytes",
		}},
		{"one address twice", base + "listen: {check: 127.0.0.1:9192}", nil, []string{
			"config:5:1: listen.admin: is the same address as listen.check; write another port",
		}},
		{"one address thrice", base + "listen: {check: 127.0.0.1:9192, metrics: 127.0.0.1:9192}", nil, []string{
			"config:5:1: listen.admin: is the same address as listen.check; write another port",
			"config:5:42: listen.metrics: is the same address as listen.check; write another port",
		}},
		{"metrics on a socket", base + "listen: {metrics: unix:///run/metrics.sock}", nil, []string{
			"config:5:19: listen.metrics: is not host:port; write one such as 0.0.0.0:9193",
		}},
		{"TLS on a socket", base + "listen: {tls: {cert_file: c, key_file: k}}", nil, []string{
			"config:5:15: listen.tls: is of no use on a unix socket; leave it out, or write host:port as listen.check",
		}},
		{"half of TLS", base + "listen: {check: 127.0.0.1:9191, tls: {cert_file: c}}", nil, []string{
			"config:5:33: listen.tls.key_file: is missing; write key_file: /etc/lamplighter/tls/tls.key",
		}},
		{"long socket path", base + "listen: {check: unix:///" + strings.Repeat("x", 103) + "}", nil, []string{
			"config:5:17: listen.check: is not a path a unix socket can have; write the path of a file, at most 103 bytes",
		}},
		{"scopes", with("client_id: app", "client_id: app, scopes: [email, 'a b', email, '', 5]"), nil, []string{
			"config:2:68: provider.scopes: does not contain openid, so the provider would not sign anyone in; write scopes: [openid, offline_access]",
			"config:2:76: provider.scopes[1]: is not a scope (RFC 6749 section 3.3); write one word without spaces, quotes or backslashes",
			"config:2:83: provider.scopes[2]: is the same as provider.scopes[0]; keep one of them",
			"config:2:90: provider.scopes[3]: is not a scope (RFC 6749 section 3.3); write one word without spaces, quotes or backslashes",
			"config:2:94: provider.scopes[4]: is a number, not text; put it in quotes",
		}},
		{"no scopes", with("client_id: app", "client_id: app, scopes: []"), nil, []string{
			"config:2:68: provider.scopes: does not contain openid, so the provider would not sign anyone in; write scopes: [openid, offline_access]",
		}},
		{"profile", with("client_id: app", "client_id: app, profile: acme, auth_style: none"), nil, []string{
			"config:2:69: provider.profile: \"acme\" is not one of the choices; write generic, keycloak, entra, okta, auth0, google, cognito, hydra, dex, zitadel or oidc-provider",
			"config:2:87: provider.auth_style: \"none\" is not one of the choices; write client_secret_basic or client_secret_post",
		}},
		{"cookie", with("keys_file: keys", "keys_file: keys, cookie: {name: sid, domain: example.org}"), nil, []string{
			"config:3:43: session.cookie.name: has no __Secure- prefix, so a plain-text site could set it; write __Secure-bff_session",
			"config:3:56: session.cookie.domain: does not cover the host app.example.com, so browsers would refuse the cookie; write app.example.com or a parent of it",
		}},
		{"host cookie with a domain", with("keys_file: keys", "keys_file: keys, cookie: {domain: example.com}"), nil, []string{
			"config:3:28: session.cookie.name: starts with __Host-, which forbids a domain; write __Secure-bff_session, or drop the domain",
		}},
		{"times", with("keys_file: keys", "keys_file: keys, idle: 2h, absolute: 1h") + "refresh: {jitter: 2s, deadline: 1s}", nil, []string{
			"config:3:34: session.idle: is longer than session.absolute, 1h0m0s; write at most 1h0m0s",
			"config:5:1: refresh.max_wait: is longer than refresh.deadline, 1s; write at most 1s",
			"config:5:19: refresh.jitter: is longer than refresh.deadline, 1s; write at most 1s",
		}},
		{"no store", with("{memory: {}}", "{}"), nil, []string{
			"config:4:8: store: names no store; write bolt: {path: /var/lib/lamplighter/sessions.db}, redis: {addresses: [redis:6379]} for replicas, or memory: {} for development",
		}},
		{"two stores", with("{memory: {}}", "{memory: {}, bolt: {path: x}}"), nil, []string{
			"config:4:8: store: names more than one store: bolt and memory; keep one of them",
		}},
		{"redis", with("{memory: {}}", "{redis: {addresses: ['redis', ':x'], prefix: 'a b', tls: {cert_file: c}, max_stale: 0s}}"), nil, []string{
			"config:4:29: store.redis.addresses[0]: is not host:port; write one such as redis:6379",
			"config:4:38: store.redis.addresses[1]: is not host:port; write one such as redis:6379",
			"config:4:53: store.redis.prefix: is not a prefix of keys; write 1 to 64 of A-Z a-z 0-9 . _ : -",
			"config:4:65: store.redis.tls: has one of cert_file and key_file; write both, or none",
			"config:4:92: store.redis.max_stale: \"0s\" is too small; write 1s to 5m",
		}},
		{"redis without an address", with("{memory: {}}", "{redis: {}}"), nil, []string{
			"config:4:9: store.redis.addresses: is missing; write addresses: [redis:6379]",
		}},
		{"app", base + "app: My App", nil, []string{
			"config:5:6: app: is not a name; write 1 to 63 of a-z 0-9 . _ -, starting and ending with a letter or digit",
		}},
		{"long app", base + "app: " + strings.Repeat("x", 64), nil, []string{
			"config:5:6: app: is not a name; write 1 to 63 of a-z 0-9 . _ -, starting and ending with a letter or digit",
		}},
		{"a key for a file", with("keys_file: keys", "keys_file: 'k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='"), nil, []string{
			"config:3:22: session.keys_file: looks like a key itself; write the key into a file and the name of the file here",
		}},
	})
}

func TestBadPaths(t *testing.T) {
	t.Parallel()
	rules := func(prefixes ...string) string {
		src := base + "rules:\n"
		for _, p := range prefixes {
			src += "- match: {path_prefix: \"" + p + "\"}\n"
		}
		return src
	}
	mustComplain(t, []badCase{
		{"prefix without slashes", base + "path_prefix: /auth", nil, []string{
			"config:5:14: path_prefix: does not start and end with /; write one such as /auth/",
		}},
		{"prefix of everything", base + "path_prefix: /", nil, []string{
			"config:5:14: path_prefix: covers the whole app; write one such as /auth/",
		}},
		{"prefix not normal", base + "path_prefix: /a/../b//", nil, []string{
			"config:5:14: path_prefix: is not in its normal form; write /b/",
		}},
		{"rules", rules("public", "/a?b", "/a/./b", "/a%2Fb", "/ü", ""), nil, []string{
			"config:6:24: rules[0].match.path_prefix: does not start with /; write one such as /public/",
			"config:7:24: rules[1].match.path_prefix: is not a path; write plain segments such as /a/b/, without a query",
			"config:8:24: rules[2].match.path_prefix: is not in its normal form; write /a/b",
			"config:9:24: rules[3].match.path_prefix: has an escaped slash, which Envoy rejects; write plain segments such as /a/b/",
			"config:10:24: rules[4].match.path_prefix: is not a path; write plain segments such as /a/b/, without a query",
			"config:11:24: rules[5].match.path_prefix: is empty; write path_prefix: /public/",
		}},
		{"same rule twice", rules("/a", "/b", "/a"), nil, []string{
			"config:8:24: rules[2].match.path_prefix: is the same as in rules[0]; keep one of them",
		}},
		{"hidden rules", rules("/a", "/a/b", "/a/", "/c/", "/c"), nil, []string{
			"config:7:24: rules[1].match.path_prefix: is never reached, rules[0] matches first; put it before rules[0]",
			"config:8:24: rules[2].match.path_prefix: is the same as in rules[0]; keep one of them",
			"config:10:24: rules[4].match.path_prefix: is the same as in rules[3]; keep one of them",
		}},
		{"hidden by all", rules("/", "/x"), nil, []string{
			"config:7:24: rules[1].match.path_prefix: is never reached, rules[0] matches first; put it before rules[0]",
		}},
	})
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	const (
		right  = "; write one such as X-User-ID"
		owned  = "is a header of the request itself" + right
		noName = "is not a header name (letters, digits, -)" + right
	)
	var tests []badCase
	for name, complaint := range map[string]string{
		"Authorization": owned, "COOKIE": owned, "Set-Cookie": owned, "host": owned,
		"Content-Length": owned, "transfer_encoding": owned, "X-Forwarded-For": owned, "proxy.authorization": owned,
		"x-envoy-peer": "belongs to Envoy" + right, "X_Envoy_Peer": "belongs to Envoy" + right,
		":path": "is a pseudo header" + right, "X User": noName, "X-User:": noName, "X-Üser": noName, "(x)": noName,
	} {
		tests = append(tests, badCase{name, base + "headers: {name: \"" + name + "\"}", nil, []string{"config:5:17: headers.name: " + complaint}})
	}
	tests = append(tests, badCase{"the same header", base + `headers:
  claims:
    groups: x-user_id
    "": X-Empty
    https://example.com/role: X.User.Email
    tier:
    plan: ""
  user_id: X-User-ID
  email: X-User-Email
  name: X-User-ID
`, nil, []string{
		`config:8:5: headers.claims[""]: has no claim name; write claim: Header-Name`,
		"config:10:5: headers.claims.tier: has no value; write one, or remove the key",
		"config:11:11: headers.claims.plan: has no header; write plan: X-User-Claim, or remove it",
		"config:12:12: headers.user_id: is the same header as headers.claims.groups (upstreams may read _ and . as -); give each its own",
		`config:13:10: headers.email: is the same header as headers.claims["https://example.com/role"] (upstreams may read _ and . as -); give each its own`,
		"config:14:9: headers.name: is the same header as headers.claims.groups (upstreams may read _ and . as -); give each its own",
	}})
	mustComplain(t, tests)
}

// What lamplighter sets itself in an authorization request nobody else sets.
func TestBadAuthorizationParams(t *testing.T) {
	t.Parallel()
	at := func(param string) string {
		return with("client_id: app", "client_id: app, authorization_params: {"+param+": x}")
	}
	const noName = "is not a parameter name (letters, digits, - . _); write one such as prompt: consent"
	var tests []badCase
	for name, complaint := range map[string]string{
		"scope":     ".scope: is set by lamplighter itself; write the scopes into provider.scopes",
		"client_id": ".client_id: is set by lamplighter itself; write it into provider.client_id",
		"a b":       `["a b"]: ` + noName, `""`: `[""]: ` + noName, "a&scope": `["a&scope"]: ` + noName,
		"client_secret": ".client_secret: would show a secret to browsers; write the secret into the file of provider.client_secret_file",
	} {
		tests = append(tests, badCase{name, at(name), nil, []string{"config:2:83: provider.authorization_params" + complaint}})
	}
	for _, name := range []string{
		"response_type", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method", "response_mode", "request", "request_uri", "dpop_jkt",
	} {
		tests = append(tests, badCase{name, at(name), nil, []string{"config:2:83: provider.authorization_params." + name + ": is set by lamplighter itself; remove it"}})
	}
	tests = append(tests, badCase{"values", with("client_id: app", `client_id: app, authorization_params: {prompt: "", max_age: 5, audience: }`), nil, []string{
		"config:2:91: provider.authorization_params.prompt: is empty, which providers read as not given; write a value, or remove it",
		"config:2:104: provider.authorization_params.max_age: is a number, not text; put it in quotes",
		"config:2:107: provider.authorization_params.audience: has no value; write one, or remove the key",
	}})
	mustComplain(t, tests)
}
