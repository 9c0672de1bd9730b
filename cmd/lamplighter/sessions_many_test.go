package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// crowd is behind a real admin listener.
type crowd struct {
	admin.Sessions
	all     []admin.Session
	err     error
	user    string
	revoked int
}

func (c *crowd) Lookup(context.Context, []byte, int) ([]session.ID, error) {
	return []session.ID{{0x3f, 0x2a, 0x9c, 0x01, 0xd4, 0xbe}}, nil
}

func (c *crowd) Revoke(context.Context, session.ID) error {
	c.revoked++
	return c.err
}

func (c *crowd) View(context.Context, session.ID) (admin.Session, error) {
	return endedSession(session.ReasonRevoked), nil
}

func (c *crowd) All(_ context.Context, user string) iter.Seq2[admin.Session, error] {
	c.user = user
	return func(yield func(admin.Session, error) bool) {
		for _, s := range c.all {
			if !yield(s, nil) {
				return
			}
		}
		if c.err != nil {
			yield(admin.Session{}, c.err)
		}
	}
}

func (c *crowd) RevokeAll(_ context.Context, user string) (int, error) {
	c.user = user
	return len(c.all), c.err
}

func (c *crowd) listen(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(admin.Handler(admin.Options{Metrics: http.NotFoundHandler(), Sessions: c, Crowd: c}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

const table = `SESSION       APP           TOKEN       EXPIRES          LOGIN           LAST USE        TROUBLE
3f2a9c01d4be  shop          fresh       in 40 seconds    3 hours ago     just now
3f2a9c01d4be  shop          due         in 40 seconds    3 hours ago     3 minutes ago   refresh under way, in doubt, failures: 2 (unknown)
3f2a9c01d4be  shop          expired     5 minutes ago    3 hours ago     just now        no refresh token
3f2a9c01d4be                unreadable                                                   its record is damaged, or sealed with a key that is not in session.keys_file
`

func mixed() []admin.Session {
	return []admin.Session{
		liveSession(nil),
		liveSession(func(s *admin.Session) {
			s.AccessToken.Freshness, s.UsedAt = "due", noon.Add(-3*time.Minute)
			s.InDoubt, s.Failures, s.LastClass, s.Attempt = true, 2, "unknown", &admin.Attempt{By: "sweep"}
		}),
		liveSession(func(s *admin.Session) {
			s.AccessToken.Freshness, s.AccessToken.ExpiresAt, s.Refreshable = "expired", noon.Add(-5*time.Minute), false
		}),
		{ID: shortID, State: admin.StateUnreadable, AsOf: noon},
	}
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	c := &crowd{all: mixed()}
	address := c.listen(t)
	code, stdout, stderr := lamp("sessions", "ls", "--admin", address)
	if code != 0 || stdout != table || stderr != "" || c.user != "" {
		t.Errorf("%d %s\n%s\nwant\n%s", code, stderr, stdout, table)
	}
	code, stdout, stderr = lamp("sessions", "ls", "--admin", address, "--output", "json", "--user", "2482 ä")
	lines := strings.SplitAfter(stdout, "\n")
	if code != 0 || stderr != "" || len(lines) != 5 || lines[4] != "" || c.user != "2482 ä" {
		t.Fatalf("json: %d %s %q, of %q", code, stderr, lines, c.user)
	}
	for i, want := range c.all {
		var got admin.Session
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil || got.ID != want.ID || got.State != want.State || (got.Live == nil) != (want.Live == nil) || len(got.History) != len(want.History) {
			t.Errorf("%s: %v", lines[i], err)
		}
	}
}

func TestListStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	c := &crowd{}
	for range defaultLimit + 1 {
		c.all = append(c.all, liveSession(nil))
	}
	address := c.listen(t)
	for _, tt := range []struct {
		flags []string
		rows  int
		says  string
	}{
		{nil, 100, "more than these 100 sessions: --limit 1000 lists more, --limit 0 all"},
		{[]string{"--limit", "7"}, 7, "--limit 70"},
		{[]string{"--limit", "101"}, 101, ""},
		{[]string{"--limit", "0"}, 101, ""},
	} {
		code, stdout, stderr := lamp(append([]string{"sessions", "ls", "--admin", address}, tt.flags...)...)
		if rows := strings.Count(stdout, "\n") - 1; code != 0 || rows != tt.rows || !strings.Contains(stderr, tt.says) || (tt.says == "") != (stderr == "") {
			t.Errorf("%q: %d, %d rows, %q", tt.flags, code, rows, stderr)
		}
	}
	c.err = session.ErrUnavailable
	code, stdout, stderr := lamp("sessions", "ls", "--limit", "0", "--admin", address)
	if code != 1 || strings.Count(stdout, "\n") != 102 || !strings.Contains(stderr, "the rest of the sessions") {
		t.Errorf("the store goes down: %d %q", code, stderr)
	}
}

func TestRevokeSessions(t *testing.T) {
	t.Parallel()
	c := &crowd{all: mixed()}
	address := c.listen(t)
	code, stdout, stderr := lamp("sessions", "revoke", shortID, "--admin", address)
	if want := shortID + " ended 12 minutes ago: an operator ended it (revoked)\n"; code != 0 || !strings.HasPrefix(stdout, want) || stderr != "" || c.revoked != 1 {
		t.Errorf("one: %d %q %s", code, stdout, stderr)
	}
	code, stdout, stderr = lamp("sessions", "revoke", "--user", "2482", "--admin", address)
	if code != 0 || stdout != "sessions ended: 4\n" || stderr != "" || c.user != "2482" || c.revoked != 1 {
		t.Errorf("a user: %d %q %s", code, stdout, stderr)
	}
	code, stdout, _ = lamp("sessions", "revoke", "--user", "2482", "--admin", address, "--output", "json")
	if code != 0 || stdout != "{\"ended\":4}\n" {
		t.Errorf("json: %d %q", code, stdout)
	}
	c.err = fmt.Errorf("end: %w", session.ErrUnavailable)
	for _, args := range [][]string{{shortID}, {"--user", "2482"}} {
		code, stdout, stderr = lamp(append([]string{"sessions", "revoke", "--admin", address}, args...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, "try again") || strings.Contains(stderr, "2482") {
			t.Errorf("%q, the store is down: %d %q %q", args, code, stdout, stderr)
		}
	}
}

func TestManySessionsCalledWrongly(t *testing.T) {
	t.Parallel()
	c := &crowd{all: mixed()}
	address := c.listen(t)
	for _, tt := range []struct{ args, says string }{
		{"ls --limit -1", "--limit -1"},
		{"ls --limit many", "lamplighter sessions ls --help"},
		{"ls --user=", "--user is empty"},
		{"ls " + shortID, shortID},
		{"revoke", "--user SUB"},
		{"revoke --user=", "--user is empty"},
		{"revoke " + shortID + " --user ada", "--user SUB"},
		{"revoke " + shortID + " " + shortID, "lamplighter sessions revoke --help"},
		{"revoke ada", "hex digits"},
	} {
		code, stdout, stderr := lamp(append(append([]string{"sessions"}, strings.Fields(tt.args)...), "--admin", address)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: %d %q %q", tt.args, code, stdout, stderr)
		}
	}
	if c.user != "" || c.revoked != 0 {
		t.Errorf("something was done: %+v", c)
	}
	for _, name := range []string{"ls", "revoke", "copy"} {
		if code, stdout, stderr := lamp("sessions", name, "--help"); code != 0 || stderr != "" || !strings.Contains(stdout, "Examples:") || !strings.Contains(stdout, "lamplighter sessions "+name) {
			t.Errorf("%s: %d %s %s", name, code, stdout, stderr)
		}
	}
}
