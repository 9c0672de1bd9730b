package replicas

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// config: a busy machine loses no answer that the test has not lost.
const config = "sweep: {enabled: false}\nrefresh: {deadline: 60s}"

// sessions is what `lamplighter sessions` beside the process says, with success.
func sessions(t *testing.T, s *stack.Stack, args ...string) string {
	t.Helper()
	code, stdout, stderr := s.Lamplighter.Command(append([]string{"sessions", "--admin", s.Lamplighter.Admin}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("sessions %q: %d %s %s", args, code, stdout, stderr)
	}
	return stdout
}

// list is what `sessions ls` says, a session a line.
func list(t *testing.T, s *stack.Stack, args ...string) (all []admin.Session) {
	t.Helper()
	for line := range strings.Lines(sessions(t, s, append([]string{"ls", "--output", "json"}, args...)...)) {
		var one admin.Session
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.Live == nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// couples are n browsers, each two the same person's.
func couples(t *testing.T, s *stack.Stack, n int) (all []*stack.Browser, subjects []string) {
	t.Helper()
	for i := range n {
		b := s.Browser(t)
		subjects = append(subjects, b.Login("/", fmt.Sprint("user", i/2)).Echo(t).Headers["x-user-id"][0])
		all = append(all, b)
	}
	return all, subjects
}

// everybodyAsks has each browser ask all replicas at once, until it is served; with
// one token. That it has to wait (503) is no end; a login would be one.
func everybodyAsks(t *testing.T, all []*stack.Browser, replicas ...*stack.Stack) {
	t.Helper()
	bearers := make([][]string, len(all))
	var asking sync.WaitGroup
	for i, b := range all {
		bearers[i] = make([]string, len(replicas))
		for k, r := range replicas {
			asking.Go(func() {
				a, err := try(b, r, "/")
				for deadline := time.Now().Add(time.Minute); err == nil && a.Status == http.StatusServiceUnavailable && time.Now().Before(deadline); {
					a, err = try(b, r, "/")
				}
				if err == nil {
					bearers[i][k], err = a.AccessToken()
				}
				if err != nil {
					t.Errorf("browser %d: %v", i, err)
				}
			})
		}
	}
	asking.Wait()
	for i, seen := range bearers {
		if len(slices.Compact(seen)) != 1 {
			t.Errorf("browser %d is served with more than one token", i)
		}
	}
}

// A user grows from one lamplighter with a file to two over one Redis. Nobody is
// logged out, and each session is refreshed once. Of two the provider's answer was
// lost just before, on its way and by a kill -9: those are asked for again.
func TestCopyLogsNobodyOut(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := stack.Start(t, stack.Options{
		AccessTokenLife: 5 * time.Second, Config: config,
		Env: []string{"LAMPLIGHTER_PROVIDER_PROFILE=okta"}, // asks again at once
	})
	if err := s.OP.SetPolicy(op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(5 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	all, subjects := couples(t, s, 20)
	eventually(t, "all tokens have expired, to the last second", func() bool {
		return !slices.ContainsFunc(list(t, s), func(one admin.Session) bool { return one.AsOf.Before(one.AccessToken.ExpiresAt) })
	})
	s.OP.SetAccessTokenLife(5 * time.Minute)
	if err := s.OP.SetFault(op.Fault{GrantType: "refresh_token", CutAfter: true, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if a := at(t, all[7], s, "/"); a.Status != http.StatusServiceUnavailable {
		t.Fatalf("the answer is lost: %v, want 503", a)
	}
	if err := s.OP.SetFault(op.Fault{GrantType: "refresh_token", HoldAfter: true, Times: 1}); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { _, _ = try(all[12], s, "/") }) // whatever it is told when lamplighter dies
	eventually(t, "the provider has taken the refresh token of another", func() bool { return s.OP.Ledger().Held == 1 })
	before := list(t, s)
	if n := inDoubt(before); len(before) != 20 || n != 1 {
		t.Fatalf("%d sessions before, %d in doubt", len(before), n)
	}

	second := grow(t, s, redis.Addr)
	replicas := []*stack.Stack{s, second}
	for _, r := range replicas {
		if after := list(t, r); !slices.Equal(names(after), names(before)) || inDoubt(after) != 2 {
			t.Errorf("%d sessions of %d afterwards, %d in doubt", len(after), len(before), inDoubt(after))
		}
	}
	everybodyAsks(t, all, replicas...)
	refreshedOnce(t, s)
	if after := list(t, second); len(after) != 20 || inDoubt(after) != 0 {
		t.Errorf("%d sessions after their refresh, %d in doubt", len(after), inDoubt(after))
	}
	revokeOne(t, all, subjects, replicas)
}

func inDoubt(all []admin.Session) (n int) {
	for _, s := range all {
		if s.InDoubt {
			n++
		}
	}
	return n
}

func names(all []admin.Session) (names []string) {
	for _, s := range all {
		names = append(names, s.ID)
	}
	slices.Sort(names)
	return names
}

// grow kills s, copies its file to the Redis, and starts s and a second over that.
func grow(t *testing.T, s *stack.Stack, redis string) (second *stack.Stack) {
	t.Helper()
	single, shared := s.File("single.yaml"), s.File("lamplighter.yaml")
	if err := os.Rename(shared, single); err != nil {
		t.Fatal(err)
	}
	s.Reconfigure(t, fmt.Sprintf("store: {redis: {addresses: [%q]}}\n%s", redis, config))
	copying := []string{"sessions", "copy", "--config", single, "--to", shared}
	if code, stdout, stderr := s.Lamplighter.Command(copying...); code != 1 || stdout != "" || !strings.Contains(stderr, "a lamplighter runs on it; stop it first") {
		t.Fatalf("copy from one that runs: %d %s %s", code, stdout, stderr)
	}
	s.Lamplighter.Kill()
	for _, want := range []string{"copied: 20, of these in doubt: 2, ended ones: 0, already there: 0, unreadable: 0\n", "copied: 0, of these in doubt: 0, ended ones: 0, already there: 20, unreadable: 0\n"} {
		if code, stdout, stderr := s.Lamplighter.Command(copying...); code != 0 || stderr != "" || !strings.HasPrefix(stdout, want) {
			t.Fatalf("copy: %d %s %s, want %s", code, stdout, stderr, want)
		}
	}
	s.Lamplighter.Start()
	return s.Replica(t)
}

// refreshedOnce asserts on the provider's ledger: one generation of each of 20, and
// of the tokens that were spent the two that had to come back.
func refreshedOnce(t *testing.T, s *stack.Stack) {
	t.Helper()
	l := s.OP.Ledger()
	got := l.ReceivedBy["refresh_token"]
	if want := map[string]int{"200": 20, "200 lost": 2}; !maps.Equal(got, want) {
		t.Errorf("refreshes: %v, want %v", got, want)
	}
	if l.Reuse != 2 || l.Forgiven != 2 || l.Logins != 20 || l.Revoked != 0 || len(l.Consumed) != 20 {
		t.Errorf("%d came back, %d of them in the grace, %d logins, %d families revoked of %d", l.Reuse, l.Forgiven, l.Logins, l.Revoked, len(l.Consumed))
	}
	for family, n := range l.Consumed {
		if n != 1 {
			t.Errorf("family %s: %d generations consumed, want 1", family, n)
		}
	}
}

// revokeOne ends both sessions of one person, on all replicas, and of nobody else.
func revokeOne(t *testing.T, all []*stack.Browser, subjects []string, replicas []*stack.Stack) {
	t.Helper()
	const person = 3 // and whoever comes before or after, who is the same
	first := person / 2 * 2
	subject := subjects[person]
	mine := list(t, replicas[0], "--user", subject)
	if len(mine) != 2 {
		t.Fatalf("%d sessions of the person, want 2", len(mine))
	}
	if said := sessions(t, replicas[1], "revoke", "--user", subject); said != "sessions ended: 2\n" {
		t.Errorf("revoke says %q", said)
	}
	for _, b := range all[first : first+2] {
		for _, r := range replicas {
			eventually(t, "the person is signed out", func() bool { return at(t, b, r, "/").Status == http.StatusUnauthorized })
		}
	}
	for i, b := range all {
		for _, r := range replicas {
			if i/2 != person/2 {
				at(t, b, r, "/").Bearer(t)
			}
		}
	}
	for _, r := range replicas {
		if left := list(t, r); len(left) != 18 || len(list(t, r, "--user", subject)) != 0 {
			t.Errorf("%d sessions are left, want 18", len(left))
		}
		if said := sessions(t, r, "show", mine[0].ID); !strings.HasPrefix(said, mine[0].ID+" ended ") || !strings.Contains(said, "an operator ended it (revoked)") {
			t.Errorf("show says %s", said)
		}
		if strings.Contains(r.Lamplighter.Log(), subject) {
			t.Error("the subject is in the log")
		}
	}
	l := func() op.Ledger { return replicas[0].OP.Ledger() }
	eventually(t, "both are revoked at the provider", func() bool { return l().RevokedBy[op.ReasonRevocation] == 2 })
	if l := l(); l.Revoked != 2 || l.Logins != 20 {
		t.Errorf("%d families revoked, %d logins", l.Revoked, l.Logins)
	}
}
