package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/session"
)

const shortID = "3f2a9c01d4be"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func liveSession(edit func(*admin.Session)) admin.Session {
	s := admin.Session{
		ID: shortID, State: admin.StateLive, AsOf: noon,
		Live: &admin.Live{
			Revision: 7, App: "shop", Provider: "https://id.example.com",
			CreatedAt: noon.Add(-3 * time.Hour), EndsAt: noon.Add(5 * time.Hour), UsedAt: noon.Add(-time.Second),
			AccessToken: admin.AccessToken{IssuedAt: noon.Add(-20 * time.Second), ExpiresAt: noon.Add(40 * time.Second), LifetimeSeconds: 60, Freshness: "fresh"},
			Refreshable: true, DueAt: noon.Add(15 * time.Second),
		},
		History: []admin.Outcome{
			{At: noon.Add(-80 * time.Second), By: "sweep", Class: "unknown", Revision: 6},
			{At: noon.Add(-20 * time.Second), By: "operator", Class: "renewed", Revision: 6, Replay: true},
		},
	}
	if edit != nil {
		edit(&s)
	}
	return s
}

func endedSession(why session.Reason) admin.Session {
	return admin.Session{
		ID: shortID, State: admin.StateEnded, AsOf: noon,
		Ended:   &admin.Ended{Reason: why, Why: admin.Why(why), EndedAt: noon.Add(-12 * time.Minute)},
		History: []admin.Outcome{{At: noon.Add(-12 * time.Minute), By: "request", Class: "dead", Revision: 6}},
	}
}

// lamplighter answers as the admin listener would: before, and after a refresh.
func lamplighter(t *testing.T, before, after any) (address string) {
	t.Helper()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if p, ok := v.(*admin.Problem); ok {
				w.WriteHeader(p.Status)
			}
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions/"+shortID, answer(before))
	mux.HandleFunc("POST /sessions/"+shortID+"/refresh", answer(after))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func lamp(args ...string) (code int, stdout, stderr string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func TestShowAnEndedSession(t *testing.T) {
	t.Parallel()
	const want = `3f2a9c01d4be ended 12 minutes ago: the provider refused the refresh token (dead)

ended  2026-03-04T11:48:00Z (12 minutes ago)

REFRESH BEGAN         ASKED BY  OUTCOME  REVISION
2026-03-04T11:48:00Z  request   dead     6
`
	code, stdout, stderr := lamp("sessions", "show", shortID, "--admin", lamplighter(t, endedSession(session.ReasonDead), nil))
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("%d %s\n%s\nwant\n%s", code, stderr, stdout, want)
	}
}

func TestShowALiveSession(t *testing.T) {
	t.Parallel()
	const want = `3f2a9c01d4be is alive: its access token is fresh and expires in 40 seconds

login               2026-03-04T09:00:00Z (3 hours ago)
last use            2026-03-04T11:59:59Z (just now)
ends at the latest  2026-03-04T17:00:00Z (in 5 hours)
access token        revision 7, issued 2026-03-04T11:59:40Z (20 seconds ago) for 1m0s
next refresh        2026-03-04T12:00:15Z (in 15 seconds)
app                 shop
provider            https://id.example.com

REFRESH BEGAN         ASKED BY  OUTCOME               REVISION
2026-03-04T11:58:40Z  sweep     unknown               6
2026-03-04T11:59:40Z  operator  renewed, asked again  6 → 7
`
	address := lamplighter(t, liveSession(nil), nil)
	code, stdout, stderr := lamp("sessions", "show", shortID, "--admin", address)
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("%d %s\n%s\nwant\n%s", code, stderr, stdout, want)
	}
	code, stdout, _ = lamp("sessions", "show", shortID, "--admin", address, "--output", "json")
	var got admin.Session
	if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil || got.Live == nil || got.Revision != 7 || len(got.History) != 2 {
		t.Errorf("json: %d %v %s", code, err, stdout)
	}
}

// The first line says how a session is, whatever it is.
func TestHeadlines(t *testing.T) {
	t.Parallel()
	expire := func(s *admin.Session) { s.AccessToken.ExpiresAt = noon.Add(-5 * time.Minute) }
	for _, tt := range []struct {
		edit func(*admin.Session)
		want string
	}{
		{func(s *admin.Session) { s.Attempt = &admin.Attempt{By: "sweep", BeganAt: noon} }, " is alive: a refresh is under way since 2026-03-04T12:00:00Z (asked by: sweep)"},
		{func(s *admin.Session) { s.InDoubt, s.Failures, s.ReplayAt = true, 1, noon }, " is alive, but in doubt: the answer to a refresh was lost; it is asked for again from 2026-03-04T12:00:00Z on"},
		{func(s *admin.Session) { s.Failures, s.LastClass = 3, "transient" }, " is alive, but has failed to be refreshed (transient, times: 3): its access token expires in 40 seconds"},
		{func(s *admin.Session) { s.Failures, s.LastClass = 3, "refused"; expire(s) }, " (refused, times: 3): its access token expired 5 minutes ago"},
		{expire, " is alive: its access token expired 5 minutes ago, and the next request refreshes it"},
		{func(s *admin.Session) { s.Refreshable = false; expire(s) }, " needs a login: its access token expired 5 minutes ago, and the provider gave no refresh token"},
	} {
		if got := headline(liveSession(tt.edit)); !strings.HasPrefix(got, shortID) || !strings.HasSuffix(got, tt.want) {
			t.Errorf("%q does not end with %q", got, tt.want)
		}
	}
	for _, why := range session.Reasons() {
		if got, want := headline(endedSession(why)), shortID+" ended 12 minutes ago: "+admin.Why(why)+" ("+string(why)+")"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Whoever waited in vain for a refresh must not think that there was none.
func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	client := http.Client{Timeout: time.Nanosecond}
	_, late := client.Get("http://" + lamplighter(t, nil, nil))
	o := sessionsOptions{admin: defaultAdmin}
	if said := o.explain(late).Error(); !strings.Contains(said, "goes on") || !strings.Contains(said, "sessions show") {
		t.Errorf("%q does not say that a refresh goes on", said)
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "just now", -time.Second: "just now", -42 * time.Second: "42 seconds ago", 119 * time.Second: "in 119 seconds", -2 * time.Minute: "2 minutes ago",
		119 * time.Minute: "in 119 minutes", 47 * time.Hour: "in 47 hours", -49 * time.Hour: "2 days ago",
	} {
		if got := when(noon.Add(d), noon); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestRefreshASession(t *testing.T) {
	t.Parallel()
	next := liveSession(func(s *admin.Session) { s.Revision = 8 })
	for name, tt := range map[string]struct {
		before, after any
		code          int
		out, err      string
	}{
		"renewed":   {liveSession(nil), next, 0, "3f2a9c01d4be was refreshed: revision 7 → 8, and its access token expires in 40 seconds\n\nlogin", ""},
		"too new":   {liveSession(nil), liveSession(nil), 0, "3f2a9c01d4be was not refreshed again: its access token was issued 20 seconds ago\n", ""},
		"its end":   {liveSession(nil), endedSession(session.ReasonLogout), 0, "3f2a9c01d4be ended 12 minutes ago: the user logged out (logout)\n", ""},
		"refused":   {liveSession(nil), &admin.Problem{Status: 409, Detail: "the provider is down"}, 1, "", "lamplighter: the provider is down\n"},
		"not there": {&admin.Problem{Status: 404, Detail: "no session"}, next, 1, "", "lamplighter: no session\n"},
	} {
		code, stdout, stderr := lamp("sessions", "refresh", shortID, "--admin", lamplighter(t, tt.before, tt.after))
		if code != tt.code || !strings.HasPrefix(stdout, tt.out) || (tt.out == "") != (stdout == "") || stderr != tt.err {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
	}
}

func TestWhereTheAdminListenerIs(t *testing.T) {
	t.Parallel()
	address := lamplighter(t, liveSession(nil), nil)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, listen string) string {
		text := "external_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n" + listen
		cfg, err := config.Parse([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if listen == "" && cfg.Listen.Admin != defaultAdmin {
			t.Errorf("the default is %s, that of the config %s", defaultAdmin, cfg.Listen.Admin)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	none := write("default.yaml", "")
	anyPort := write("any.yaml", `listen: {admin: "127.0.0.1:0"}`)
	every := write("every.yaml", `listen: {admin: ":`+port+`"}`)
	for _, tt := range []struct {
		flags []string
		code  int
		says  []string
	}{
		{[]string{"--admin", address}, 0, nil},
		{[]string{"--config", every}, 0, nil},
		{[]string{"--admin", "0.0.0.0:" + port}, 0, nil},
		{[]string{"--admin", "127.0.0.1:1"}, 1, []string{"127.0.0.1:1", "is lamplighter running", "--admin", "--config"}},
		{[]string{"--config", anyPort}, 2, []string{"any free port", "--admin", "listening"}},
		{[]string{"--config", none, "--admin", address}, 2, []string{"leave one out"}},
		{[]string{"--config", filepath.Join(dir, "no.yaml")}, 2, []string{"no.yaml"}},
		{[]string{"--admin", "localhost"}, 2, []string{"host:port", defaultAdmin}},
		{[]string{"--admin", address, "--output", "yaml"}, 2, []string{"text or json"}},
	} {
		code, stdout, stderr := lamp(append([]string{"sessions", "show", shortID}, tt.flags...)...)
		if code != tt.code || (code == 0) != (stdout != "") {
			t.Errorf("%q: %d %s %s", tt.flags, code, stdout, stderr)
		}
		for _, want := range tt.says {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q: %q does not say %q", tt.flags, stderr, want)
			}
		}
	}
}

func TestSessionsCalledWrongly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"show"}, 2, "lamplighter sessions show --help"},
		{[]string{"show", ""}, 2, "hex digits"},
		{[]string{"show", "ada"}, 2, "hex digits"},
		{[]string{"shw", shortID}, 2, "lamplighter sessions --help"},
		{[]string{"refresh", shortID, "--confg", "x"}, 2, "--confg"},
	} {
		code, stdout, stderr := lamp(append([]string{"sessions"}, tt.args...)...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: %d %q %q", tt.args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"sessions"}, {"sessions", "show", "--help"}, {"sessions", "refresh", "--help"}} {
		if code, stdout, stderr := lamp(args...); code != 0 || stderr != "" || !strings.Contains(stdout, "Examples:") || !strings.Contains(stdout, shortID) {
			t.Errorf("%q: %d %s %s", args, code, stdout, stderr)
		}
	}
}
