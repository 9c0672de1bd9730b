package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/stack"
)

// holder is somebody who comes back with the cookie of a session.
type holder struct {
	cookie string
	id     session.ID
	who    string // as the app is told
	bearer string
}

// holders log in, and the last of them out; the store's last transaction is the
// logout. The process is stopped.
func holders(t *testing.T, s *stack.Stack, n int) (all []holder) {
	t.Helper()
	var last *stack.Browser
	for i := range n {
		last = s.Browser(t)
		a := last.Login("/", fmt.Sprintf("user-%d", i))
		h, err := session.ParseHandle(last.Cookie(sessionCookie))
		if err != nil {
			t.Fatal("no session after the login")
		}
		all = append(all, holder{last.Cookie(sessionCookie), h.ID(), who(t, a), a.Bearer(t)})
	}
	if err := s.Lamplighter.Terminate(); err != nil { // which writes the last uses
		t.Fatal(err)
	}
	s.Lamplighter.Start()
	last.Post("/auth/logout")
	s.Lamplighter.Kill()
	return all
}

// who is the identity that the app was told.
func who(t *testing.T, a stack.Answer) string {
	t.Helper()
	lines := a.Echo(t).Headers["x-user-id"]
	if len(lines) != 1 || lines[0] == "" {
		t.Fatalf("identity at the app: %q, want one line", lines)
	}
	return lines[0]
}

// served tells whether h is served, with a token and an identity that are h's
// own, or asked to log in, or told to come back. Nothing else may happen.
func (h holder) served(t *testing.T, s *stack.Stack) fate {
	t.Helper()
	switch a := s.Browser(t).Fetch("/", "Cookie: "+sessionCookie+"="+h.cookie); {
	case a.Status == http.StatusOK:
		if got, bearer := who(t, a), a.Bearer(t); got != h.who || bearer != h.bearer {
			t.Errorf("%s is taken for %s, with a token that is theirs: %v", h.who, got, bearer == h.bearer)
		}
		return kept
	case a.Status == http.StatusUnauthorized:
		return gone
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" && len(a.Header.Values("Set-Cookie")) == 0:
		return unreadable
	default:
		t.Errorf("%s: %v", h.who, a)
		return gone
	}
}

// The store file is damaged while the product is stopped. It starts with what is
// whole, or with a new store and the damaged one set aside, or not at all, as
// its place in the table says, and a second time as well. Nobody gets what is
// not theirs, and who has logged out stays out.
func TestDamagedStores(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: time.Hour, Config: noSweep, Plain: true})
	all := holders(t, s, 24)
	good := readStore(t, s.File("sessions.db"))
	for _, h := range all[:len(all)-1] {
		good.users = append(good.users, h.id)
	}
	good.ended = all[len(all)-1].id
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			f := good.clone()
			f.t = t
			p.damage(f)
			if bytes.Equal(f.b, good.b) {
				t.Fatal("nothing is damaged")
			}
			d := damaged{t, s, f.b, all}
			d.write()
			if p.want == notStarted {
				if err := os.Remove(s.File("check.sock")); err != nil { // of the process that was killed
					t.Fatal(err)
				}
				refuses(t, s, 1, f.b, s.File("sessions.db"), "not of this version")
				return
			}
			defer s.Lamplighter.Kill()
			s.Lamplighter.Start()
			d.asWanted(p.want)
			newcomer := s.Browser(t)
			newcomer.Login("/", "newcomer").Bearer(t)
			s.Lamplighter.Kill()
			s.Lamplighter.Start()
			d.asWanted(p.want)
			newcomer.Fetch("/").Bearer(t)
		})
	}
	s.Lamplighter.Start() // whom the stack stops
}

// damaged is a product with a damaged file.
type damaged struct {
	*testing.T
	s   *stack.Stack
	b   []byte
	all []holder
}

// write puts the file where the product will find it, and takes away what an
// earlier one has left.
func (d damaged) write() {
	d.Helper()
	for _, path := range d.aside() {
		if err := os.Remove(path); err != nil {
			d.Fatal(err)
		}
	}
	if err := os.WriteFile(d.s.File("sessions.db"), d.b, 0o600); err != nil {
		d.Fatal(err)
	}
}

func (d damaged) aside() []string {
	d.Helper()
	paths, err := filepath.Glob(d.s.File("sessions.db.corrupt-*"))
	if err != nil {
		d.Fatal(err)
	}
	return paths
}

// asWanted holds what every user meets to what is wanted of the first.
func (d damaged) asWanted(want fate) {
	d.Helper()
	for i, h := range d.all {
		expect := kept
		switch {
		case want == gone || want == anew:
			expect = gone
		case i == 0:
			expect = want
		}
		got := h.served(d.T, d.s)
		if ended := i == len(d.all)-1; ended && got == kept || !ended && got != expect {
			d.Errorf("%s is %v, want %v", h.who, got, expect)
		}
	}
	aside := d.aside()
	if (want == gone) != (len(aside) == 1) || len(aside) > 1 {
		d.Fatalf("set aside: %q, the file is to be: %v", aside, want == gone)
	}
	if want == gone && !bytes.Equal(content(d.T, aside[0]), d.b) {
		d.Error("the file set aside is not as it was")
	}
	if log := d.s.Lamplighter.Log(); want == gone && !strings.Contains(log, aside[0]) || want == unreadable && !strings.Contains(log, "sessions cannot be read") {
		d.Error("the log does not tell")
	}
}
