package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// visitor is somebody with a session who goes on using it.
type visitor struct {
	b   *stack.Browser
	who string
}

// uses makes a request. It is served, or told to come back once the token has
// expired; no answer takes the cookie away.
func (v visitor) uses(t *testing.T) (served bool) {
	t.Helper()
	a := v.b.Fetch("/")
	switch {
	case len(a.Header.Values("Set-Cookie")) != 0:
		t.Errorf("%s: an answer sets a cookie: %v", v.who, a)
	case a.Status == http.StatusOK:
		if got := who(t, a); got != v.who {
			t.Errorf("%s is taken for %s", v.who, got)
		}
		return true
	case a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "":
		t.Errorf("%s: %v, want to be served, or 503 past expiry", v.who, a)
	}
	return false
}

// fillDisk logs users in until there is no room for more.
func fillDisk(t *testing.T, s *stack.Stack) (in []visitor) {
	t.Helper()
	for n := range 200 {
		b := s.Browser(t)
		a := b.SubmitLogin(b.Visit("/"), fmt.Sprintf("user-%d", n))
		if a.Status != http.StatusOK {
			refusedLogin(t, b, a)
			return in
		}
		in = append(in, visitor{b, who(t, a)})
	}
	t.Fatal("200 logins, and the disk is not full")
	return nil
}

func refusedLogin(t *testing.T, b *stack.Browser, a stack.Answer) {
	t.Helper()
	if a.Status != http.StatusServiceUnavailable || b.Cookie(sessionCookie) != "" {
		t.Errorf("a login on a full disk: %v, want a 503 page and no session", a)
	}
}

// goOn lets everybody make requests, and newcomers try to log in, until over. It
// tells who was served in the last round of them.
func goOn(t *testing.T, s *stack.Stack, in []visitor, over func(served int) bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) { // paces the requests
		served := 0
		for _, v := range in {
			if v.uses(t) {
				served++
			}
		}
		b := s.Browser(t)
		if a := b.SubmitLogin(b.Visit("/"), "late"); a.Status != http.StatusOK { // where an old page is free, one fits
			refusedLogin(t, b, a)
		}
		if t.Failed() {
			t.FailNow()
		}
		if over(served) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes; %d of %d are served", served, len(in))
		}
	}
}

// inBooks waits until the store has all that the provider gave.
func inBooks(t *testing.T, s *stack.Stack, success func() float64) {
	t.Helper()
	eventually(t, "every answer of the provider is stored", func() bool {
		return float64(s.OP.Ledger().ReceivedBy["refresh_token"]["200"]) == success()
	})
}

// The disk fills up while users are about and tokens come to their end. Sessions
// are served and refreshed where they are, logins are told to come back. Then not
// even that fits: no refresh is sent whose intent cannot be written, and users
// are served until their tokens expire. With space again everybody is, and no
// session or cookie was lost.
func TestFullDiskUnderTraffic(t *testing.T) {
	t.Parallel()
	const life = 10 * time.Second
	s := stack.Start(t, stack.Options{AccessTokenLife: life})
	lamp := s.Lamplighter
	again := func(limit int) {
		t.Helper()
		_ = lamp.Terminate() // an exit code of 1 may tell that the last uses found no room
		lamp.FileLimit = limit
		lamp.Start()
	}
	again(128 << 10)
	in := fillDisk(t, s)
	lives := time.Now().Add(2 * life)
	goOn(t, s, in, func(served int) bool {
		return served == len(in) && time.Now().After(lives) && refreshes(s) > len(in)
	})
	if !strings.Contains(lamp.Log(), "store could not be written") {
		t.Error("the log does not tell")
	}
	inBooks(t, s, func() float64 { return lamp.Metric("bff_token_refresh_success_total") })

	again(8 << 10) // no page but the first two can be written
	sent := refreshes(s)
	once := 0
	goOn(t, s, in, func(served int) bool {
		once = max(once, served)
		return served == 0 // all tokens have expired
	})
	if once == 0 {
		t.Error("nobody was served while the tokens lived")
	}
	if got := refreshes(s) - sent; got != 0 {
		t.Errorf("%d refresh requests whose intents cannot have been written", got)
	}
	again(0)
	for _, v := range in {
		eventually(t, "served after the restart", func() bool { return v.uses(t) })
	}
	s.Browser(t).Login("/", "ben").Bearer(t)
	usedOnce(t, s)
}

// A damaged file cannot be set aside in a folder that is read-only: the product
// says so, and leaves everything as it is.
func TestDamagedStoreInAReadOnlyFolder(t *testing.T) {
	t.Parallel()
	s, good := withStore(t, stack.Options{})
	folder := s.File("locked")
	path := folder + "/sessions.db"
	s.WriteConfig(t, fmt.Sprintf("listen: {check: \"127.0.0.1:0\", admin: \"127.0.0.1:0\"}\nstore: {bolt: {path: %q}}", path))
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	bad := good[:len(good)/8]
	if err := os.WriteFile(path, bad, 0o666); err != nil {
		t.Fatal(err)
	}
	asNobody(t, s, "", "keys", "client-secret", "lamplighter.yaml")
	for name, mode := range map[string]os.FileMode{path: 0o666, folder: 0o555} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		refuses(t, s, 1, nil, path, "store file is damaged", "permission denied", "make its folder writable for this user")
		if !bytes.Equal(content(t, path), bad) {
			t.Error("the store file has changed")
		}
	}
	if err := os.WriteFile(path, good, 0o666); err != nil {
		t.Fatal(err)
	}
	s.Lamplighter.Start() // a whole one needs no other file there
}
