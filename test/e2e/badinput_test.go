package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const nobody = 65534

// withStore prepares a stack whose store file holds something, and returns what
// it holds.
func withStore(t *testing.T, o stack.Options) (s *stack.Stack, before []byte) {
	t.Helper()
	s = stack.Prepare(t, o)
	good := stack.Prepare(t, stack.Options{Config: fmt.Sprintf("store: {bolt: {path: %q}}", s.File("sessions.db"))})
	good.Lamplighter.Start()
	if err := good.Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	return s, content(t, s.File("sessions.db"))
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refuses asserts that lamplighter does not start: the exit code, one line that
// says all of want, nothing left half-up, and the store file as it was.
func refuses(t *testing.T, s *stack.Stack, code int, before []byte, want ...string) {
	t.Helper()
	gotCode, output := s.Lamplighter.Fails()
	if gotCode != code {
		t.Errorf("exit code %d, want %d", gotCode, code)
	}
	var told string
	for line := range strings.Lines(output) {
		if text, ok := strings.CutPrefix(line, "lamplighter: "); ok {
			told += text
		}
	}
	if told == "" || strings.Count(told, "\n") != 1 {
		t.Errorf("want one line for the person who started it, got: %s", output)
	}
	for _, w := range want {
		if !strings.Contains(told, w) {
			t.Errorf("the line does not say %q: %s", w, told)
		}
	}
	if _, err := os.Stat(s.File("check.sock")); err == nil {
		t.Error("the check socket is left behind")
	}
	if before != nil && !bytes.Equal(content(t, s.File("sessions.db")), before) {
		t.Error("the store file has changed")
	}
}

func TestWrongConfigIsToldAllAtOnce(t *testing.T) {
	t.Parallel()
	s, before := withStore(t, stack.Options{Config: "refresh: {on_deu: wait, max_wait: 3}\nsweep: {rate: -1}\nsweep: {rate: 1}\nrules: yes"})
	code, output := s.Lamplighter.Fails()
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{"refresh.on_deu", "on_due", "refresh.max_wait", "3s", "sweep.rate", "rules", "lamplighter.yaml:"} {
		if !strings.Contains(output, want) {
			t.Errorf("the complaints do not say %q:\n%s", want, output)
		}
	}
	if !bytes.Equal(content(t, s.File("sessions.db")), before) {
		t.Error("the store file has changed")
	}
}

func TestMissingConfigFile(t *testing.T) {
	t.Parallel()
	s, before := withStore(t, stack.Options{})
	if err := os.Remove(s.File("lamplighter.yaml")); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, 2, before, "lamplighter.yaml", "no such file")
}

func TestMissingFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"keys":          {"session.keys_file", "openssl rand -base64 32"},
		"client-secret": {"provider.client_secret_file", "write the client's secret into it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, before := withStore(t, stack.Options{})
			if err := os.Remove(s.File(name)); err != nil {
				t.Fatal(err)
			}
			refuses(t, s, 1, before, append(want, s.File(name))...)
		})
	}
}

func TestTakenPorts(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"check", "admin"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			s, before := withStore(t, stack.Options{Config: fmt.Sprintf("listen: {check: \"127.0.0.1:0\", admin: \"127.0.0.1:0\"}\n")})
			s.WriteConfig(t, map[string]string{
				"check": fmt.Sprintf("listen: {check: %q, admin: \"127.0.0.1:0\"}", l.Addr()),
				"admin": fmt.Sprintf("listen: {check: \"127.0.0.1:0\", admin: %q}", l.Addr()),
			}[key])
			refuses(t, s, 1, before, l.Addr().String(), "listen."+key, "another process has this port")
		})
	}
}

func TestTakenSocket(t *testing.T) {
	t.Parallel()
	s := stack.Prepare(t, stack.Options{})
	s.Lamplighter.Start()
	second := s.NewLamplighter(t, s.WriteConfig(t, fmt.Sprintf("store: {bolt: {path: %q}}", s.File("other.db"))), nil)
	code, output := second.Fails()
	if code != 1 || !strings.Contains(output, "another process answers there") || !strings.Contains(output, s.File("check.sock")) {
		t.Errorf("second on one socket: exit %d: %s", code, output)
	}
	if _, _, err := s.Lamplighter.Get("/readyz"); err != nil {
		t.Errorf("the first one is disturbed: %v", err)
	}
}

func TestLockedStore(t *testing.T) {
	t.Parallel()
	first := stack.Prepare(t, stack.Options{})
	first.Lamplighter.Start()
	before := content(t, first.File("sessions.db"))
	s := stack.Prepare(t, stack.Options{Config: fmt.Sprintf("store: {bolt: {path: %q}}", first.File("sessions.db"))})
	refuses(t, s, 1, nil, first.File("sessions.db"), "in use by another process", "store.bolt.path")
	if !bytes.Equal(content(t, first.File("sessions.db")), before) {
		t.Error("the store file has changed")
	}
	if code, _, err := first.Lamplighter.Get("/readyz"); err != nil || code != http.StatusOK {
		t.Errorf("the owner of the store is disturbed: %d %v", code, err)
	}
}

func TestDamagedStoreIsSetAside(t *testing.T) {
	t.Parallel()
	s, before := withStore(t, stack.Options{})
	bad := bytes.Clone(before)
	for i := 2 * os.Getpagesize(); i < len(bad); i += 7 {
		bad[i] ^= 0x5a
	}
	if err := os.WriteFile(s.File("sessions.db"), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Lamplighter.Start()
	aside, err := filepath.Glob(s.File("sessions.db.corrupt-*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %q %v, want one file", aside, err)
	}
	if !bytes.Equal(content(t, aside[0]), bad) {
		t.Error("the file set aside is not as it was")
	}
	if log := s.Lamplighter.Log(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, aside[0]) {
		t.Errorf("want one error line that names %s: %s", aside[0], log)
	}
}

// asNobody has lamplighter run as somebody who may read what is named of the
// stack's folder: the superuser may write anywhere.
func asNobody(t *testing.T, s *stack.Stack, names ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	s.Lamplighter.UID = nobody
	for _, name := range names {
		if err := os.Chmod(s.File(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnwritableFolder(t *testing.T) {
	t.Parallel()
	s, before := withStore(t, stack.Options{})
	asNobody(t, s, "", "keys", "client-secret", "lamplighter.yaml")
	if err := os.Chmod(s.File("sessions.db"), 0o400); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, 1, before, s.File("sessions.db"), "permission denied", "writable for this user")
	s.WriteConfig(t, fmt.Sprintf("store: {bolt: {path: %q}}", s.File("locked/sessions.db")))
	if err := os.Chmod(s.File("lamplighter.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.File("locked"), 0o555); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, 1, before, s.File("locked/sessions.db"), "permission denied", "writable for this user")
}

// The provider is not there at start: alive, not ready, telling why, and ready
// without a restart once it comes.
func TestProviderUnreachableAtStart(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + stack.FreePort(t)
	issuer := "http://" + address
	s := stack.Prepare(t, stack.Options{})
	s.WriteConfig(t, fmt.Sprintf("provider: {issuer: %q, client_id: %s, client_secret_file: %q}", issuer, stack.ClientID, s.File("client-secret")))
	s.Lamplighter.Listening()
	eventually(t, "the log tells", func() bool {
		return strings.Contains(s.Lamplighter.Log(), "provider cannot be discovered")
	})
	if code, _, err := s.Lamplighter.Get("/livez"); err != nil || code != http.StatusOK {
		t.Errorf("livez: %d %v, want 200", code, err)
	}
	if code, body, err := s.Lamplighter.Get("/readyz"); err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "provider not discovered") {
		t.Errorf("readyz: %d %q %v, want 503 and the reason", code, body, err)
	}
	provider, err := op.New(op.Options{Issuer: issuer, Clients: []op.Client{{ID: stack.ClientID, Secret: stack.ClientSecret, RedirectURIs: []string{s.URL + "/auth/callback"}}}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: provider}}
	server.Start()
	defer server.Close()
	s.Lamplighter.Until("ready", func() bool {
		code, _, err := s.Lamplighter.Get("/readyz")
		return err == nil && code == http.StatusOK
	})
}

// The disk is full: logins and refreshes wait, sessions are served, nothing is
// lost, and with space again everything goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{})
	if err := s.Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	s.Lamplighter.FileLimit = 128 << 10
	s.Lamplighter.Start()
	var signedIn []*stack.Browser
	for range 200 {
		b := s.Browser(t)
		a := b.SubmitLogin(b.Visit("/"), "ada")
		if a.Status == http.StatusOK {
			signedIn = append(signedIn, b)
			continue
		}
		if a.Status != http.StatusServiceUnavailable || b.Cookie("__Host-bff_session") != "" {
			t.Errorf("a login on a full disk: %v, want a 503 page and no session cookie", a)
		}
		break
	}
	if len(signedIn) < 3 || len(signedIn) == 200 {
		t.Fatalf("%d logins before the disk was full, want a few", len(signedIn))
	}
	for _, b := range signedIn {
		b.Fetch("/").Bearer(t)
	}
	if !strings.Contains(s.Lamplighter.Log(), "store could not be written") {
		t.Error("the log does not tell")
	}
	s.Lamplighter.Kill()
	s.Lamplighter.FileLimit = 0
	s.Lamplighter.Start()
	for i, b := range signedIn {
		if a := b.Fetch("/"); a.Status != http.StatusOK {
			t.Fatalf("session %d of %d after the restart: %v", i, len(signedIn), a)
		}
	}
	s.Browser(t).Login("/", "ben").Bearer(t)
	usedOnce(t, s)
}

// No space even for the first page of a new store.
func TestFullDiskAtStart(t *testing.T) {
	t.Parallel()
	s := stack.Prepare(t, stack.Options{})
	s.Lamplighter.FileLimit = 512
	refuses(t, s, 1, nil, s.File("sessions.db"), "file too large")
}
