package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// base is the least there can be. What a test adds starts in line 5.
const base = `external_url: https://app.example.com
provider: {issuer: https://id.example.com, client_id: app}
session: {keys_file: keys}
store: {memory: {}}
`

func TestLeast(t *testing.T) {
	t.Parallel()
	got, err := config.Parse([]byte(base), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Listen:      config.Listen{Check: "unix:///run/lamplighter/check.sock", Admin: "127.0.0.1:9192"},
		ExternalURL: "https://app.example.com",
		Provider: config.Provider{
			Issuer: "https://id.example.com", ClientID: "app", AuthStyle: config.ClientSecretBasic,
			Scopes: []string{"openid", "offline_access"}, Profile: "generic",
		},
		Session: config.Session{
			Cookie:   config.Cookie{Name: "__Host-bff_session"},
			Idle:     config.Duration(time.Hour),
			Absolute: config.Duration(8 * time.Hour),
			KeysFile: "keys",
		},
		Store: config.Store{Memory: &config.Memory{}},
		Refresh: config.Refresh{
			TokenRefreshThreshold: config.Duration(300 * time.Second),
			Jitter:                config.Duration(30 * time.Millisecond),
			OnDue:                 config.DueBackground,
			MaxWait:               config.Duration(3 * time.Second),
			Deadline:              config.Duration(10 * time.Second),
			Lease:                 config.Duration(3 * time.Second),
		},
		Sweep: config.Sweep{
			Enabled:       true,
			CheckInterval: config.Duration(300 * time.Second),
			ActiveWithin:  config.Duration(30 * time.Minute),
			Rate:          300,
			MaxInFlight:   48,
		},
		App:        "default",
		PathPrefix: "/auth/",
		Cache:      config.Cache{MaxBytes: 64 << 20, TTL: config.Duration(time.Minute)},
		Log:        config.Log{Level: "info"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	c, err := config.Load("testdata/full.yaml", []string{"PATH=/bin", "LAMPLIGHTER"})
	if err != nil {
		t.Fatal(err)
	}
	rules := []config.Rule{
		{Match: config.Match{PathPrefix: "/public/"}, Session: config.SessionNone, Bearer: config.BearerStrip},
		{Match: config.Match{PathPrefix: "/api/"}, Session: config.SessionRequired, Bearer: config.BearerPass},
	}
	if !reflect.DeepEqual(c.Rules, rules) {
		t.Errorf("rules %+v", c.Rules)
	}
	if c.Headers.Claims["https://example.com/tenant"] != "X-User-Tenant" || c.Headers.UserID != "X-User-ID" {
		t.Errorf("headers %+v", c.Headers)
	}
	if p := c.Provider.AuthorizationParams; len(p) != 2 || p["prompt"] != "consent" || p["audience"] != "https://api.example.com" {
		t.Errorf("authorization_params %q", p)
	}
	if c.Store.Memory != nil || c.Store.Bolt == nil || c.Store.Bolt.Path != "/var/lib/lamplighter/sessions.db" {
		t.Errorf("store %+v", c.Store)
	}
	if c.Session.Cookie != (config.Cookie{Name: "__Secure-bff_session", Domain: "example.com"}) {
		t.Errorf("cookie %+v", c.Session.Cookie)
	}
}

func TestGood(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]string{
		"rule defaults":     "rules: [{match: {path_prefix: /p}}]",
		"nested rules":      "rules: [{match: {path_prefix: /a/b}}, {match: {path_prefix: /a}}, {match: {path_prefix: /}}]",
		"segment, not text": "rules: [{match: {path_prefix: /a}}, {match: {path_prefix: /ab}}]",
		"long app":          "app: " + strings.Repeat("x", 63),
		"pair in brackets":  "rules: [match: {path_prefix: /p}]",
		"no rules":          "rules: []",
		"tcp":               "listen: {check: \"[::1]:9191\", admin: \":0\"}",
		"two free ports":    "listen: {check: 127.0.0.1:0, admin: 127.0.0.1:0}",
		"plain bytes":       "cache: {max_bytes: 2097152}",
		"gibibytes":         "cache: {max_bytes: 2GiB}",
		"no jitter":         "refresh: {jitter: 0s}",
		"equal bounds":      "refresh: {max_wait: 4s, deadline: 4s}",
		"empty headers":     "headers: {user_id: \"\", claims: {}}",
		"quoted scalars":    "log: {level: 'debug'}\napp: \"a.b-c_1\"",
		"crlf":              "app: x\r\nlog:\r\n  level: warn\r\n",
		"document markers":  "app: x\n...\n",
		"sweep off":         "sweep: {enabled: false}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := config.Parse([]byte(base+extra), nil); err != nil {
				t.Error(err)
			}
		})
	}
	src := "\ufeff---\n" + strings.Replace(base, "https://id.example.com", "http://127.0.0.1:8443/a/", 1)
	src = strings.Replace(src, "https://app.example.com", "http://localhost:8080", 1)
	c, err := config.Parse([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Provider.Issuer != "http://127.0.0.1:8443/a/" || c.ExternalURL != "http://localhost:8080" {
		t.Errorf("got %q %q", c.Provider.Issuer, c.ExternalURL)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	c, err := config.Parse([]byte("store: {bolt: {path: old}}\nsession: {idle: 10m}\nlog: {level: 5}\n"), []string{
		"LAMPLIGHTER_EXTERNAL_URL=http://localhost:1",
		"LAMPLIGHTER_PROVIDER_ISSUER=https://id.example.com",
		"LAMPLIGHTER_PROVIDER_CLIENT_ID=first",
		"LAMPLIGHTER_PROVIDER_CLIENT_ID=a=b",
		"LAMPLIGHTER_SESSION_KEYS_FILE=keys",
		"LAMPLIGHTER_SESSION_COOKIE_NAME=__Secure-x",
		"LAMPLIGHTER_SESSION_IDLE=20m",
		"LAMPLIGHTER_STORE_BOLT_PATH=new",
		"LAMPLIGHTER_LISTEN_CHECK=127.0.0.1:1",
		"LAMPLIGHTER_CACHE_MAX_BYTES=1MiB",
		"LAMPLIGHTER_SWEEP_ENABLED=false",
		"LAMPLIGHTER_SWEEP_RATE=7",
		"LAMPLIGHTER_HEADERS_USER_ID=X-Me",
		// A Service called lamplighter, and one called lamplighter-admin:
		"LAMPLIGHTER_SERVICE_HOST=10.0.0.1",
		"LAMPLIGHTER_SERVICE_PORT=9191",
		"LAMPLIGHTER_SERVICE_PORT_GRPC=9191",
		"LAMPLIGHTER_PORT=tcp://10.0.0.1:9191",
		"LAMPLIGHTER_PORT_9191_TCP=tcp://10.0.0.1:9191",
		"LAMPLIGHTER_PORT_9191_TCP_ADDR=10.0.0.1",
		"LAMPLIGHTER_ADMIN_SERVICE_HOST=10.0.0.2",
		"LAMPLIGHTER_ADMIN_PORT_9192_TCP_PROTO=tcp",
		"lamplighter_app=x", "OTHER=y", "no value",
	})
	want := "config:3:14: log.level: \"5\" is not one of the choices; write debug, info, warn or error"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v, want the one complaint about the file", err)
	}

	c, err = config.Parse([]byte("store: {bolt: {path: old}}\nsession: {idle: 10m}\n"), []string{
		"LAMPLIGHTER_EXTERNAL_URL=http://localhost:1",
		"LAMPLIGHTER_PROVIDER_ISSUER=https://id.example.com",
		"LAMPLIGHTER_PROVIDER_CLIENT_ID=first",
		"LAMPLIGHTER_PROVIDER_CLIENT_ID=a=b",
		"LAMPLIGHTER_SESSION_KEYS_FILE=keys",
		"LAMPLIGHTER_SESSION_IDLE=20m",
		"LAMPLIGHTER_STORE_BOLT_PATH=new",
		"LAMPLIGHTER_CACHE_MAX_BYTES=1MiB",
		"LAMPLIGHTER_SWEEP_ENABLED=false",
		"LAMPLIGHTER_SWEEP_RATE=7",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Provider.ClientID != "a=b" || c.Session.Idle.Std() != 20*time.Minute || c.Store.Bolt.Path != "new" ||
		c.Cache.MaxBytes != 1<<20 || c.Sweep.Enabled || c.Sweep.Rate != 7 {
		t.Errorf("got %+v", c)
	}

	noStore := strings.Replace(base, "store: {memory: {}}\n", "", 1)
	c, err = config.Parse([]byte(noStore), []string{"LAMPLIGHTER_STORE_BOLT_PATH=new"})
	if err != nil || c.Store.Bolt == nil || c.Store.Bolt.Path != "new" {
		t.Errorf("a store from the environment: %+v, %v", c.Store, err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := config.Load(filepath.Join(dir, "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := config.Load(dir, nil); err == nil || !strings.HasPrefix(err.Error(), "read config: ") {
		t.Errorf("directory: %v", err)
	}
	path := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(path, []byte(base+"colour: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(path, nil)
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok || len(wrong.Complaints) != 1 || wrong.Complaints[0].File != path || wrong.Complaints[0].Line != 5 {
		t.Errorf("bad file: %v", err)
	}
	if err := os.WriteFile(path, []byte(base+"#"+strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path, nil); err == nil || err.Error() != path+":1:1: is larger than 1 MiB; write a configuration" {
		t.Errorf("large file: %v", err)
	}
}

func TestSplitAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]string{
		"unix:///run/check.sock": {"unix", "/run/check.sock"},
		"127.0.0.1:9191":         {"tcp", "127.0.0.1:9191"},
	} {
		if network, where := config.SplitAddress(address); network != want[0] || where != want[1] {
			t.Errorf("%s: %s %s", address, network, where)
		}
	}
}

func TestBytesString(t *testing.T) {
	t.Parallel()
	for b, want := range map[config.Bytes]string{0: "0", 1: "1", 1024: "1KiB", 1025: "1025", 64 << 20: "64MiB", 2 << 30: "2GiB"} {
		if got := b.String(); got != want {
			t.Errorf("%d: %s, want %s", int64(b), got, want)
		}
	}
}
