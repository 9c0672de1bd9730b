package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// sessions runs `lamplighter sessions` against the process; whatever it says,
// it says on one stream.
func sessions(t *testing.T, s *stack.Stack, args ...string) (code int, said string) {
	t.Helper()
	code, stdout, stderr := s.Lamplighter.Command(append([]string{"sessions", "--admin", s.Lamplighter.Admin}, args...)...)
	if (code == 0) != (stderr == "") || (code == 0) == (stdout == "") {
		t.Errorf("%q: exit code %d\n%s\n%s", args, code, stdout, stderr)
	}
	return code, stdout + stderr
}

// loggedIn is a browser with a session, by the name that the log has.
func loggedIn(t *testing.T, s *stack.Stack) (b *stack.Browser, name string) {
	t.Helper()
	b = s.Browser(t)
	b.Login("/", "ada")
	if name = s.Lamplighter.Logged("session created", "session"); name == "" {
		t.Fatal("the log does not name the session")
	}
	return b, name
}

// An operator refreshes a session by its name in the log: one request, one new
// revision. Then its user logs out, and the operator is told so.
func TestOperatorRefreshesASession(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 12 * time.Second, Config: noSweep})
	b, name := loggedIn(t, s)
	if code, said := sessions(t, s, "show", name); code != 0 || !strings.HasPrefix(said, name+" is alive: ") || !strings.Contains(said, "no refresh yet") {
		t.Fatalf("after the login: %d %s", code, said)
	}
	s.OP.SetAccessTokenLife(time.Minute) // of the next token, so that it is just new for longer
	eventually(t, "the token is old enough to be refreshed", func() bool {
		code, said := sessions(t, s, "refresh", name)
		if code != 0 {
			t.Fatalf("refresh: %d %s", code, said)
		}
		return strings.HasPrefix(said, name+" was refreshed: revision 1 → 2")
	})
	if code, said := sessions(t, s, "refresh", name); code != 0 || !strings.HasPrefix(said, name+" was not refreshed again: ") {
		t.Errorf("at once again: %d %s", code, said)
	}
	if got := refreshes(s); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	b.Fetch("/").Bearer(t)
	b.Post("/auth/logout")
	code, said := sessions(t, s, "show", name)
	if code != 0 || !strings.HasPrefix(said, name+" ended ") || !strings.Contains(said, ": the user logged out (logout)\n") {
		t.Errorf("after the logout: %d %s", code, said)
	}
	if row := strings.Fields(said[strings.LastIndex(strings.TrimSpace(said), "\n"):]); strings.Join(row[1:], " ") != "operator renewed 1 → 2" {
		t.Errorf("the last line is %q, want the refresh", row)
	}
	usedOnce(t, s)
}

// The provider has revoked the grant: the user is told to log in, the operator why.
func TestOperatorSeesWhyASessionEnded(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Options{AccessTokenLife: 12 * time.Second, Config: noSweep})
	b, name := loggedIn(t, s)
	out, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Issuer+"/end_session", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := b.Do(out); err != nil || s.OP.Ledger().RevokedBy[op.ReasonLogout] != 1 {
		t.Fatalf("logout at the provider alone: %v, %v", a, err)
	}
	eventually(t, "the provider is asked and refuses", func() bool {
		code, said := sessions(t, s, "refresh", name)
		if code != 0 && (code != 1 || !strings.Contains(said, "the provider refused the refresh token (dead)")) {
			t.Fatalf("refresh: %d %s", code, said)
		}
		return code == 1
	})
	if a := b.Fetch("/"); a.Status != http.StatusUnauthorized {
		t.Errorf("the user: %v, want 401", a)
	}
	code, said := sessions(t, s, "show", name, "--output", "json")
	var v struct {
		State, Reason string
		History       []struct{ By, Class string }
	}
	if err := json.Unmarshal([]byte(said), &v); err != nil || code != 0 {
		t.Fatalf("%d %s: %v", code, said, err)
	}
	if n := len(v.History); v.State != "ended" || v.Reason != "dead" || n != 1 || v.History[0].By != "operator" || v.History[0].Class != "dead" {
		t.Errorf("%s, want ended: dead, after one refresh of the operator's", said)
	}
	if got := refreshes(s); got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	if code, said := sessions(t, s, "show", strings.Repeat("0", 12)); code != 1 || !strings.Contains(said, "no session begins with") {
		t.Errorf("a name that there is not: %d %s", code, said)
	}
}
