package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/redistest"
)

const (
	firstKey  = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	secondKey = "k2:HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// desk is a folder with the files of an operator who copies.
type desk struct {
	t   *testing.T
	dir string
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) write(name, text string) string {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

// config writes one with a store, and keys of its own.
func (d desk) config(name, store, keys, more string) string {
	d.t.Helper()
	keysFile := d.write(name+".keys", keys+"\n")
	return d.write(name+".yaml", fmt.Sprintf(`external_url: https://app.example.com
provider: {issuer: "https://id.example.com", client_id: app}
session: {keys_file: %q}
store: %s
%s`, keysFile, store, more))
}

func (d desk) bolt(name, keys string) string {
	d.t.Helper()
	return d.config(name, fmt.Sprintf("{bolt: {path: %q}}", d.path(name+".db")), keys, "")
}

// open opens the store file of a name; the process that has it is this one.
func (d desk) open(name, keys string) *boltstore.Store {
	d.t.Helper()
	ring, err := seal.ParseKeys([]byte(keys))
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := boltstore.Open(boltstore.Options{Path: d.path(name + ".db"), Keys: ring, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// fill makes n sessions in the store file of a name, sealed with the first of keys.
func (d desk) fill(name, keys string, n int) (ids []session.ID) {
	d.t.Helper()
	s := d.open(name, keys)
	defer s.Close()
	for range n {
		now := time.Now()
		ses := session.Session{
			ID: session.NewHandle().ID(), Revision: 1, App: "default", Provider: "https://id.example.com",
			Token:    session.Token{Access: session.AccessToken{Secret: session.NewSecret("canary")}, Issued: now, Lifetime: time.Minute},
			Identity: session.Identity{Subject: "canary"}, CreatedAt: now, EndsAt: now.Add(time.Hour),
		}
		if err := s.Create(d.t.Context(), ses); err != nil {
			d.t.Fatal(err)
		}
		ids = append(ids, ses.ID)
	}
	return ids
}

func (d desk) bytes(name string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

const copiedFour = "copied: 4, of these in doubt: 0, ended ones: 1, already there: 0, unreadable: 0\nthe first store must not be served any more\n"

// Five sessions, one of which has ended, go from file to file, and from file to
// Redis and on to a file, and are sealed anew each time.
func TestCopySessions(t *testing.T) {
	t.Parallel()
	d := desk{t, t.TempDir()}
	from := d.bolt("from", firstKey)
	ids := d.fill("from", firstKey, 5)
	s := d.open("from", firstKey)
	if _, err := s.End(t.Context(), ids[0], session.ReasonLogout, store.Cond{}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	before := d.bytes("from.db")

	redis := d.config("redis", fmt.Sprintf("{redis: {addresses: [%q]}}", redistest.Start(t).Addr), secondKey, "")
	last := d.bolt("last", firstKey)
	for _, way := range [][2]string{{from, d.bolt("to", secondKey)}, {from, redis}, {redis, last}} {
		code, stdout, stderr := lamp("sessions", "copy", "--config", way[0], "--to", way[1])
		if code != 0 || stdout != copiedFour || stderr != "" {
			t.Errorf("%s to %s: %d %q %q", way[0], way[1], code, stdout, stderr)
		}
	}
	code, stdout, stderr := lamp("sessions", "copy", "--config", from, "--to", redis, "--output", "json")
	var again map[string]int
	if err := json.Unmarshal([]byte(stdout), &again); err != nil || code != 0 || stderr != "" || again["already_there"] != 5 || again["copied"]+again["ended"]+again["unreadable"] != 0 {
		t.Errorf("again: %d %q %q", code, stdout, stderr)
	}
	if !bytes.Equal(d.bytes("from.db"), before) {
		t.Error("the first store has changed")
	}
	for name, keys := range map[string]string{"to": secondKey, "last": firstKey} {
		s := d.open(name, keys)
		for i, id := range ids {
			_, err := s.Get(t.Context(), id)
			if ended := session.Gone(err); ended != (i == 0) || err != nil && !ended {
				t.Errorf("%s, session %d: %v", name, i, err)
			}
		}
		_ = s.Close()
	}
}

// Sessions whose key is missing stay where they are, and are told.
func TestCopyLeavesOutTheUnreadable(t *testing.T) {
	t.Parallel()
	d := desk{t, t.TempDir()}
	ids := d.fill("from", firstKey, 15)
	d.fill("from", secondKey+"\n"+firstKey, 2)
	from, to := d.bolt("from", secondKey), d.bolt("to", secondKey)
	code, stdout, stderr := lamp("sessions", "copy", "--config", from, "--to", to)
	if code != 1 || !strings.HasPrefix(stdout, "copied: 2, ") || !strings.Contains(stdout, "unreadable: 15\n") {
		t.Errorf("%d %q", code, stdout)
	}
	named := 0
	for _, id := range ids {
		named += strings.Count(stderr, "session "+id.String()+" is left out: ")
	}
	for _, want := range []string{"more sessions are left out", "sessions that could not be read: 15", "session.keys_file", "repeat"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q does not say %q", stderr, want)
		}
	}
	if named != tellOfMost || strings.Contains(stderr, "canary") {
		t.Errorf("%d are named: %q", named, stderr)
	}
	d.bolt("from", secondKey+"\n"+firstKey) // the key is found
	if code, stdout, stderr := lamp("sessions", "copy", "--config", from, "--to", to); code != 0 || !strings.HasPrefix(stdout, "copied: 15, ") || !strings.Contains(stdout, "already there: 2,") {
		t.Errorf("again: %d %q %q", code, stdout, stderr)
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	d := desk{t, t.TempDir()}
	from, to := d.bolt("from", firstKey), d.bolt("to", firstKey)
	d.fill("from", firstKey, 1)
	broken := d.bolt("broken", firstKey)
	d.write("broken.db", strings.Repeat("not a store ", 4096))
	d.write("empty.db", "")
	running := d.bolt("running", firstKey)
	d.fill("running", firstKey, 1)
	held := d.open("running", firstKey)
	defer held.Close()
	nowhere := d.config("nowhere", `{redis: {addresses: ["127.0.0.1:1"]}}`, firstKey, "")
	keyless := d.config("keyless", fmt.Sprintf("{bolt: {path: %q}}", d.path("from.db")), "# none", "")
	for _, tt := range []struct {
		from, to, flags string
		code            int
		says            []string
	}{
		{from, "", "", 2, []string{"--to"}},
		{"", to, "", 2, []string{"--config"}},
		{from, from, "", 2, []string{"store is the same"}},
		{from, d.path("no.yaml"), "", 2, []string{"no.yaml"}},
		{from, to, "--output yaml", 2, []string{"text or json"}},
		{from, to, "--admin 127.0.0.1:1", 2, []string{"--admin"}},
		{from, d.config("memory", "{memory: {}}", firstKey, ""), "", 2, []string{"store.memory"}},
		{from, d.config("other", fmt.Sprintf("{bolt: {path: %q}}", d.path("other.db")), firstKey, "app: other\n"), "", 2, []string{"app is", "default", "other"}},
		{d.bolt("none", firstKey), to, "", 1, []string{"none.db", "not there", "store.bolt.path"}},
		{d.bolt("empty", firstKey), to, "", 1, []string{"empty.db", "empty"}},
		{broken, to, "", 1, []string{"broken.db", "damaged"}},
		{running, to, "", 1, []string{"running.db", "a lamplighter runs on it", "stop it first"}},
		{keyless, to, "", 1, []string{"session.keys_file", "no key"}},
		{from, nowhere, "", 1, []string{"127.0.0.1:1"}},
		{nowhere, to, "", 1, []string{"127.0.0.1:1"}},
	} {
		code, stdout, stderr := lamp(append([]string{"sessions", "copy", "--config", tt.from, "--to", tt.to}, strings.Fields(tt.flags)...)...)
		if code != tt.code || stdout != "" {
			t.Errorf("%s to %s %s: %d %s %s", tt.from, tt.to, tt.flags, code, stdout, stderr)
		}
		for _, want := range tt.says {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s to %s %s: %q does not say %q", tt.from, tt.to, tt.flags, stderr, want)
			}
		}
	}
	names, err := filepath.Glob(d.path("*.db*"))
	if err != nil || len(names) != 4 { // from, broken, empty, running
		t.Errorf("files were made or set aside: %q, %v", names, err)
	}
}

func TestCopyTellsItsProgress(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	now := noon
	tell := teller{w: &said, now: func() time.Time { return now }, told: noon}
	for n := range 10 {
		now = now.Add(time.Second)
		tell.progress(app.Copied{Sessions: n})
	}
	if lines := strings.Split(said.String(), "\n"); len(lines) != 6 || lines[0] != "lamplighter: so far copied: 1, of these in doubt: 0, ended ones: 0, already there: 0, unreadable: 0" {
		t.Errorf("%q", lines)
	}
}
