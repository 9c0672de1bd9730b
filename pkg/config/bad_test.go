package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/config"
)

type badCase struct {
	name string
	src  string
	env  []string
	want []string
}

func mustComplain(t *testing.T, tests []badCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Parse([]byte(tt.src), tt.env)
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestBadShape(t *testing.T) {
	t.Parallel()
	mustComplain(t, []badCase{
		{"empty", "", nil, []string{
			"config:1:1: external_url: is missing; write external_url: https://app.example.com",
			"config:1:1: provider.issuer: is missing; write issuer: https://id.example.com",
			"config:1:1: provider.client_id: is missing; write client_id: my-app",
			"config:1:1: session.keys_file: is missing; write keys_file: /etc/lamplighter/keys",
			"config:1:1: store: is missing; write store: {bolt: {path: /var/lib/lamplighter/sessions.db}}",
		}},
		{"missing in sections", "external_url: \"\"\nprovider:\n  client_id: app\nstore:\n  bolt: {}\nsession: {}\n", nil, []string{
			"config:1:15: external_url: is empty; write external_url: https://app.example.com",
			"config:2:1: provider.issuer: is missing; write issuer: https://id.example.com",
			"config:5:3: store.bolt.path: is missing; write path: /var/lib/lamplighter/sessions.db",
			"config:6:1: session.keys_file: is missing; write keys_file: /etc/lamplighter/keys",
		}},
		{"several kinds at once", base + `
refresh:
  token_refresh_treshold: 60s
  jitter: 30
  deadline: 10s
  max_wait: 20s
  deadline: 30s
sweep: fast
colour: red
rules:
- match: {path_prefix: public}
  session: maybe
- session: none
log: {level: loud}
app: 7
`, []string{"LAMPLIGHTER_APPP=x", "LAMPLIGHTER_CACHE_TTL=60"}, []string{
			"config:7:3: refresh.token_refresh_treshold: is not a key of the configuration; did you mean token_refresh_threshold?",
			"config:8:11: refresh.jitter: is a number without a unit; write 30s",
			"config:10:13: refresh.max_wait: is longer than refresh.deadline, 10s; write at most 10s",
			"config:11:3: refresh.deadline: is given twice, first in line 9; keep one of them",
			"config:12:8: sweep: is text, not a mapping; write its keys: enabled, check_interval, active_within, rate, max_in_flight",
			"config:13:1: colour: is not a key of the configuration; known here: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
			"config:15:24: rules[0].match.path_prefix: does not start with /; write one such as /public/",
			"config:16:12: rules[0].session: \"maybe\" is not one of the choices; write required or none",
			"config:17:3: rules[1].match.path_prefix: is missing; write path_prefix: /public/",
			"config:18:14: log.level: \"loud\" is not one of the choices; write debug, info, warn or error",
			"config:19:6: app: is a number, not text; put it in quotes",
			"env LAMPLIGHTER_APPP: is not a variable of the configuration; did you mean LAMPLIGHTER_APP?",
			"env LAMPLIGHTER_CACHE_TTL: cache.ttl: is a number without a unit; write 60s",
		}},
		{"misplaced key", base + "issuer: https://id.example.com\nclient: x", nil, []string{
			"config:5:1: issuer: is not a key of the configuration; did you mean provider.issuer?",
			"config:6:1: client: is not a key of the configuration; known here: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
		}},
		{"a secret in the file", strings.Replace(base, "client_id: app", "client_id: app, client_secret: hunter2", 1), nil, []string{
			"config:2:60: provider.client_secret: is not a key of the configuration; did you mean client_secret_file?",
		}},
		{"odd keys", base + "\"a.b\": 1\n\"\": 2\n7: 3\ntrue: 4\n\"x\\ny\": 5", nil, []string{
			"config:5:1: [\"a.b\"]: is not a key of the configuration; known here: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
			"config:6:1: [\"\"]: is not a key of the configuration; known here: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
			"config:7:1: has a key that is not plain text; put the key in quotes",
			"config:8:1: has a key that is not plain text; put the key in quotes",
			"config:9:1: [\"x\\ny\"]: is not a key of the configuration; known here: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
		}},
		{"not a mapping", "- a\n", nil, []string{
			"config:1:1: is a list, not a mapping; write its keys: listen, external_url, provider, session, store, refresh, sweep, app, path_prefix, rules, headers, cache, log",
		}},
		{"nothing behind a key", base + "app:\nlog: ~\nrules: [null]\nheaders:\n  claims:\n", nil, []string{
			"config:5:1: app: has no value; write one, or remove the key",
			"config:6:1: log: has no value; write one, or remove the key",
			"config:7:9: rules[0]: has no value; write one, or remove the key",
			"config:9:3: headers.claims: has no value; write one, or remove the key",
		}},
		{"wrong types", base + `
listen: [a]
refresh: {on_due: true, lease: 1.5, deadline: {}, max_wait: [1s]}
sweep: {enabled: yes, rate: "300", max_in_flight: 1_0}
rules: {match: {path_prefix: /}}
headers: {claims: [a], user_id: 5}
cache: {max_bytes: 64MB, ttl: 30d}
path_prefix: "/a\n/"
`, nil, []string{
			"config:6:9: listen: is a list, not a mapping; write its keys: check, tls, admin, metrics",
			"config:7:19: refresh.on_due: \"true\" is not one of the choices; write background or wait",
			"config:7:32: refresh.lease: is a number without a unit; write 1.5s",
			"config:7:47: refresh.deadline: is a mapping, not a single value; write one value",
			"config:7:61: refresh.max_wait: is a list, not a single value; write one value",
			"config:8:18: sweep.enabled: \"yes\" is not a boolean; write true or false",
			"config:8:29: sweep.rate: is text because of its quotes; write it without",
			"config:8:51: sweep.max_in_flight: \"1_0\" is not a whole decimal number; write one such as 300",
			"config:9:8: rules: is a mapping, not a list; write [a, b], or one - line for each",
			"config:10:19: headers.claims: is a list, not a mapping; write name: value pairs",
			"config:10:33: headers.user_id: is a number, not text; put it in quotes",
			"config:11:20: cache.max_bytes: \"64MB\" is not an amount of memory; write one such as 64MiB (KiB, MiB, GiB), or plain bytes",
			"config:11:31: cache.ttl: \"30d\" is not a duration; write one such as 300s or 1h30m",
			"config:12:14: path_prefix: has a control character or line break in it; write it on one line",
		}},
		{"one complaint for one mistake", "provider: none\nsession: {keys_file: 5, cookie: {name: 7, domain: example.com}}\nstore: 5\nexternal_url: https://app.example.com\n", nil, []string{
			"config:1:11: provider: is text, not a mapping; write its keys: issuer, client_id, client_secret_file, auth_style, scopes, authorization_params, profile, replay",
			"config:2:22: session.keys_file: is a number, not text; put it in quotes",
			"config:2:40: session.cookie.name: is a number, not text; put it in quotes",
			"config:3:8: store: is a number, not a mapping; write its keys: bolt, redis, memory",
		}},
		{"one complaint for a store", with("{memory: {}}", "{bolt: &a {path: x}}"), nil, []string{
			"config:4:15: store.bolt: has an anchor (&); write the value alone",
		}},
		{"a user twice", with("{memory: {}}", "{redis: {addresses: [\"redis:6379\"], username: lamp, username_file: /etc/user}}"), nil, []string{
			"config:4:54: store.redis.username: stands beside the file with it; leave one of them out",
		}},
		{"boolean for text", base + "app: true", nil, []string{
			"config:5:6: app: is a boolean, not text; put it in quotes",
		}},
		{"odd numbers", base + "sweep: {rate: 0x10, max_in_flight: 007}", nil, []string{
			"config:5:15: sweep.rate: \"0x10\" is not a whole decimal number; write one such as 300",
			"config:5:36: sweep.max_in_flight: \"007\" is not a whole decimal number; write one such as 300",
		}},
		{"more than an integer holds", base + "sweep: {rate: 99999999999999999999}\ncache: {max_bytes: 99999999999999GiB}", nil, []string{
			"config:5:15: sweep.rate: \"99999999999999999999\" is not a whole decimal number; write one such as 300",
			"config:6:20: cache.max_bytes: \"99999999999999GiB\" is not an amount of memory; write one such as 64MiB (KiB, MiB, GiB), or plain bytes",
		}},
		{"long values are cut", base + "log: {level: " + strings.Repeat("x", 50) + "}", nil, []string{
			"config:5:14: log.level: \"" + strings.Repeat("x", 40) + "…\" is not one of the choices; write debug, info, warn or error",
		}},
		{"long lines are cut", base + "app: {" + strings.Repeat("x", 100) + "\n", nil, []string{
			"config:5:7: is not YAML: could not find flow map content; look at: \"app: {" + strings.Repeat("x", 74) + "…\"",
		}},
		{"out of range", base + `
refresh: {lease: 1ms, deadline: 6m}
sweep: {rate: 0, max_in_flight: -1, check_interval: -5s}
cache: {max_bytes: 9999999GiB, ttl: 2h}
`, nil, []string{
			"config:6:18: refresh.lease: \"1ms\" is too small; write 100ms to 5m",
			"config:6:33: refresh.deadline: \"6m\" is too large; write 100ms to 5m",
			"config:7:15: sweep.rate: \"0\" is too small; write 1 to 100000",
			"config:7:33: sweep.max_in_flight: \"-1\" is too small; write 1 to 10000",
			"config:7:53: sweep.check_interval: \"-5s\" is too small; write 100ms to 1h",
			"config:8:20: cache.max_bytes: \"9999999GiB\" is too large; write 1MiB to 1024GiB",
			"config:8:37: cache.ttl: \"2h\" is too large; write 1s to 1h",
		}},
	})
}

func TestBadYAML(t *testing.T) {
	t.Parallel()
	mustComplain(t, []badCase{
		{"syntax", base + "app: a: b\n", nil, []string{
			`config:5:6: is not YAML: mapping value is not allowed in this context; look at: "app: a: b"`,
		}},
		{"tab", base + "log:\n\tlevel: info\n", nil, []string{
			`config:6:1: is not YAML: found character '\t' that cannot start any token; look at: "level: info"`,
		}},
		{"open quote near a secret", base + "client_secret: \"hunter2\n", nil, []string{
			`config:5:16: is not YAML: could not find end character of double-quoted text; look at: "client_secret: (not shown)"`,
		}},
		{"anchors, aliases, tags, merge keys", base + "app: &a x\nlog: {level: *a}\ncache: !!map {}\nsweep:\n  <<: {rate: 1}\n", nil, []string{
			"config:5:6: app: has an anchor (&); write the value alone",
			"config:6:14: log.level: is an alias (*); write the value out",
			"config:7:8: cache: has a tag (!); write the value alone",
			"config:9:3: sweep: has a merge key (<<); write the keys out",
		}},
		{"two documents", base + "---\napp: x\n", nil, []string{
			"config:6:1: has a second document; keep one, without --- between",
		}},
		{"directive", "%YAML 1.2\n---\n" + base, nil, []string{
			"config:1:1: has a YAML directive; remove the line that starts with %",
		}},
		{"explicit key", base + "? app\n: x\n", nil, []string{
			"config:5:1: has a key that is not plain text; put the key in quotes",
		}},
		{"not UTF-8", base + "app: \xff\n", nil, []string{
			"config:5:1: has bytes that are not UTF-8; save the file as UTF-8",
		}},
		{"brackets", base + "app: " + strings.Repeat("[", 1000), nil, []string{
			"config:5:38: is nested too deeply; nest at most 32 levels",
		}},
		{"dashes", strings.Repeat("- ", 1000) + "a", nil, []string{
			"config:1:65: is nested too deeply; nest at most 32 levels",
		}},
		{"too long", strings.Repeat("a: b\n", 17_000), nil, []string{
			"config:1:1: has more than 50000 words and marks; write a configuration",
		}},
		{"too large", base + "#" + strings.Repeat("x", 1<<20), nil, []string{
			"config:1:1: is larger than 1 MiB; write a configuration",
		}},
	})
}

func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	mustComplain(t, []badCase{
		{"unknown", base, []string{"LAMPLIGHTER_PROVIDER_CLIENTID=x", "LAMPLIGHTER_ZZZ=x", "LAMPLIGHTER_=x"}, []string{
			"env LAMPLIGHTER_: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
			"env LAMPLIGHTER_PROVIDER_CLIENTID: is not a variable of the configuration; did you mean LAMPLIGHTER_PROVIDER_CLIENT_ID?",
			"env LAMPLIGHTER_ZZZ: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
		}},
		{"lists and maps", base, []string{"LAMPLIGHTER_RULES=[]", "LAMPLIGHTER_HEADERS_CLAIMS_GROUPS=X"}, []string{
			"env LAMPLIGHTER_HEADERS_CLAIMS_GROUPS: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
			"env LAMPLIGHTER_RULES: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
		}},
		{"looks like a service link", base, []string{"LAMPLIGHTER_PORT=9191"}, []string{
			"env LAMPLIGHTER_PORT: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
		}},
		{"values", base, []string{
			"LAMPLIGHTER_SWEEP_ENABLED=1", "LAMPLIGHTER_SWEEP_RATE=many", "LAMPLIGHTER_SESSION_IDLE=", "LAMPLIGHTER_EXTERNAL_URL=",
		}, []string{
			"env LAMPLIGHTER_EXTERNAL_URL: external_url: is empty; write external_url: https://app.example.com",
			"env LAMPLIGHTER_SESSION_IDLE: session.idle: \"\" is not a duration; write one such as 300s or 1h30m",
			"env LAMPLIGHTER_SWEEP_ENABLED: sweep.enabled: \"1\" is not a boolean; write true or false",
			"env LAMPLIGHTER_SWEEP_RATE: sweep.rate: \"many\" is not a whole decimal number; write one such as 300",
		}},
		{"meaning", base, []string{
			"LAMPLIGHTER_STORE_BOLT_PATH=x", "LAMPLIGHTER_SESSION_IDLE=9h", "LAMPLIGHTER_PROVIDER_ISSUER=http://id.example.com",
		}, []string{
			"config:4:8: store: names more than one store: bolt and memory; keep one of them",
			"env LAMPLIGHTER_PROVIDER_ISSUER: provider.issuer: is plain http; write https (http only with localhost, 127.0.0.1 or [::1])",
			"env LAMPLIGHTER_SESSION_IDLE: session.idle: is longer than session.absolute, 8h0m0s; write at most 8h0m0s",
		}},
		{"replaces a bad value, and is judged itself", base + "app: 7", []string{"LAMPLIGHTER_APP=My App"}, []string{
			"config:5:6: app: is a number, not text; put it in quotes",
			"env LAMPLIGHTER_APP: app: is not a name; write 1 to 63 of a-z 0-9 . _ -, starting and ending with a letter or digit",
		}},
		{"beside a file that cannot be read", base + "app: a: b", []string{"LAMPLIGHTER_XX=1"}, []string{
			`config:5:6: is not YAML: mapping value is not allowed in this context; look at: "app: a: b"`,
			"env LAMPLIGHTER_XX: is not a variable of the configuration; write LAMPLIGHTER_ and the path of a single value, such as LAMPLIGHTER_LOG_LEVEL",
		}},
		{"does not hide a complaint about the file", base + "app: 7", []string{"LAMPLIGHTER_APP=x"}, []string{
			"config:5:6: app: is a number, not text; put it in quotes",
		}},
	})
}

// Whatever is wrong, what might be a secret is not repeated.
func TestNoSecretInComplaints(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, src := range []string{
		base + "client_secret: " + secret,
		base + "client_secret: [" + secret,
		base + "client_secret: \"" + secret,
		base + "password: " + secret + ": " + secret,
		strings.Replace(base, "https://id", "https://user:"+secret+"@id", 1),
		strings.Replace(base, "https://app", "http://user:"+secret+"@app", 1),
		strings.Replace(base, "https://app.example.com", "https://user:"+secret+"@app.example.com:x", 1),
		strings.Replace(base, "client_id: app", "client_id: app, client_secret_file: {"+secret+": "+secret+"}", 1),
		strings.Replace(base, "keys_file: keys", "keys_file: ["+secret+"]", 1),
		strings.Replace(base, "keys_file: keys", "keys_file: \""+secret+"\\n\"", 1),
		strings.Replace(base, "keys_file: keys", "keys_file: 'k1:"+secret+strings.Repeat("A", 36)+"='", 1),
	} {
		_, err := config.Parse([]byte(src), []string{"LAMPLIGHTER_PROVIDER_CLIENT_SECRET=" + secret})
		if _, ok := errors.AsType[*config.Error](err); !ok {
			t.Errorf("accepted: %s: %v", src, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("shows the secret: %v", err)
		}
	}
}
