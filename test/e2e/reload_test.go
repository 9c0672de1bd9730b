package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// mount is a folder as Kubernetes mounts a ConfigMap or Secret: every file is a link
// through ..data, which is a link itself, and is swapped.
type mount struct {
	t       *testing.T
	dir     string
	version int
	files   map[string]string
}

func newMount(t *testing.T, dir string, files map[string]string) *mount {
	t.Helper()
	m := &mount{t: t, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m.swap(files)
	for name := range files {
		if err := os.Symlink("..data/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// swap makes changed, and what was there before, the content.
func (m *mount) swap(changed map[string]string) {
	m.t.Helper()
	files := map[string]string{}
	maps.Copy(files, m.files)
	maps.Copy(files, changed)
	m.files = files
	m.version++
	name := "..v" + strconv.Itoa(m.version)
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(m.dir, name), 0o755))
	for file, text := range files {
		must(os.WriteFile(filepath.Join(m.dir, name, file), []byte(text), 0o600))
	}
	must(os.Symlink(name, filepath.Join(m.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The config and what it names are swapped as Kubernetes does it, while users ask:
// nothing fails, what is good is served from then on, what is not is kept out whole,
// and of what is wrong the log and a gauge tell.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second})
	lamp := s.Lamplighter
	if err := lamp.Terminate(); err != nil {
		t.Fatal(err)
	}
	first := readFile(t, s.File("lamplighter.yaml"))
	secrets := newMount(t, s.File("secret"), map[string]string{"keys": readFile(t, s.File("keys")), "client-secret": stack.ClientSecret})
	for _, name := range []string{"keys", "client-secret"} {
		first = strings.ReplaceAll(first, s.File(name), s.File("secret/"+name))
		if err := os.Remove(s.File(name)); err != nil { // nothing goes by the old place
			t.Fatal(err)
		}
	}
	config := newMount(t, s.File("config"), map[string]string{"lamplighter.yaml": first})
	if err := os.Remove(s.File("lamplighter.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("config/lamplighter.yaml", s.File("lamplighter.yaml")); err != nil {
		t.Fatal(err)
	}
	lamp.Start()

	users := begin(t, s, 20)
	b := s.Browser(t)
	b.Login("/", "ada")
	reloads := func() int { return strings.Count(lamp.Log(), `"msg":"config reloaded"`) }
	good := func(what string, swap func(), seen func() bool) {
		t.Helper()
		before := reloads()
		swap()
		eventually(t, what, func() bool {
			return reloads() > before && seen() && lamp.Metric("bff_config_last_reload_successful") == 1
		})
	}
	to := func(text string) func() { return func() { config.swap(map[string]string{"lamplighter.yaml": text}) } }
	status := func(path string) int { return s.Browser(t).Fetch(path).Status }

	second := strings.Replace(first, "user_id: X-User-ID", "user_id: X-Who", 1) + "\nrules: [{match: {path_prefix: /public/}, session: none}]\nrefresh: {token_refresh_threshold: 2s, jitter: 1ms}\nsweep: {check_interval: 1s}\n"
	if status("/public/x") != http.StatusUnauthorized {
		t.Fatal("/public/ needs no session at first")
	}
	good("rules and headers", to(second), func() bool {
		h := b.Fetch("/").Echo(t).Headers
		return status("/public/x") == http.StatusOK && len(h["x-who"]) == 1 && len(h["x-user-id"]) == 0
	})

	for what, c := range map[string]struct {
		text string
		says string
	}{
		"a typo":                {strings.Replace(second, "jitter:", "jiter:", 1), "jiter"},
		"half a file":           {second[:len(second)/2], "config was not reloaded"},
		"another store":         {strings.Replace(second, "sessions.db", "other.db", 1), "store: read at a start only"},
		"keys that are none":    {strings.Replace(second, "secret/keys", "secret/client-secret", 1), "session.keys_file"},
		"a secret that is none": {strings.Replace(second, "secret/client-secret", "secret/none", 1), "provider.client_secret_file"},
	} {
		before := reloads()
		swap := to(strings.Replace(c.text, "path_prefix: /public/", "path_prefix: /", 1))
		swap()
		eventually(t, what+" is refused", func() bool {
			return lamp.Metric("bff_config_last_reload_successful") == 0 && strings.Contains(lamp.Log(), c.says)
		})
		if code, _, errs := lamp.Command("health", "--check", s.CheckAddress()); code != 0 {
			t.Errorf("%s: who serves on is not healthy: %s", what, errs)
		}
		if reloads() != before || status("/") != http.StatusUnauthorized || status("/public/x") != http.StatusOK {
			t.Errorf("%s was served", what)
		}
		good(what+" is taken back", to(second), func() bool { return true })
	}

	// A new key: what is sealed from now on is sealed under it, and of old nothing is lost.
	newKey := "k2:" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" + "\n"
	good("a new key before the old", func() { secrets.swap(map[string]string{"keys": newKey + secrets.files["keys"]}) }, func() bool { return b.Fetch("/").Status == http.StatusOK })
	s.Browser(t).Login("/", "grace") // her session is sealed under the new key
	secrets.swap(map[string]string{"keys": strings.TrimPrefix(secrets.files["keys"], newKey)})
	eventually(t, "a file without the key in use is refused", func() bool {
		return lamp.Metric("bff_config_last_reload_successful") == 0 && strings.Contains(lamp.Log(), "k2, under which everything is sealed now, is not among them")
	})
	good("the key is back", func() { secrets.swap(map[string]string{"keys": newKey + secrets.files["keys"]}) }, func() bool { return true })

	// A new client secret at both ends.
	users.disturb(func() {}) // refreshes under the new key
	if err := s.OP.ChangeSecret(stack.ClientID, "secret-canary-second"); err != nil {
		t.Fatal(err)
	}
	good("a new client secret", func() { secrets.swap(map[string]string{"client-secret": "secret-canary-second"}) }, func() bool { return true })
	s.Browser(t).Login("/", "joan")
	users.disturb(func() {})

	users.verdict()
	if n := len(users.failed); n > 0 {
		t.Errorf("%d requests failed, the first: %v", n, users.failed[0])
	}
	if n := lamp.Metric(`bff_token_refresh_failed_total{reason="dead"}`); n != 0 {
		t.Errorf("%v sessions died", n)
	}
	if err := lamp.Terminate(); err != nil {
		t.Fatal(err)
	}
	lamp.Start() // what was reloaded is what a start finds
	for name, user := range map[string]*stack.Browser{"ada": b, "a user": s.Browser(t)} {
		if a := user.Fetch("/public/"); a.Status != http.StatusOK {
			t.Errorf("%s after a restart: %v", name, a)
		}
	}
	if a := b.Fetch("/"); a.Status != http.StatusOK {
		t.Errorf("after a restart: %v", a)
	}
}

// A certificate that is renewed is shown from then on; half of a new pair is not.
func TestReloadCertificate(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	lamp := s.Lamplighter
	if err := lamp.Terminate(); err != nil {
		t.Fatal(err)
	}
	one, two := redistest.NewAuthority(t), redistest.NewAuthority(t)
	pair := newMount(t, s.File("tls"), map[string]string{"tls.crt": readFile(t, one.ServerCert), "tls.key": readFile(t, one.ServerKey)})
	at := "127.0.0.1:" + stack.FreePort(t)
	s.Reconfigure(t, fmt.Sprintf("listen: {check: %q, admin: \"127.0.0.1:0\", tls: {cert_file: %q, key_file: %q}}", at, s.File("tls/tls.crt"), s.File("tls/tls.key")))
	lamp.Start()
	shows := func(a redistest.Authority) bool {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(readFile(t, a.CA)))
		c, err := tls.Dial("tcp", at, &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	if !shows(one) || shows(two) {
		t.Fatal("the first certificate is not the one that is shown")
	}
	pair.swap(map[string]string{"tls.crt": readFile(t, two.ServerCert)})
	eventually(t, "half a pair is refused", func() bool { return lamp.Metric("bff_config_last_reload_successful") == 0 })
	if !shows(one) {
		t.Error("the certificate in use is not shown any more")
	}
	pair.swap(map[string]string{"tls.key": readFile(t, two.ServerKey)})
	eventually(t, "the second certificate is shown", func() bool { return shows(two) })
}
