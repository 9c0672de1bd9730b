package boltstore_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"go.etcd.io/bbolt"
)

func keyLine(id string) string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return id + ":" + base64.StdEncoding.EncodeToString(b) + "\n"
}

func ring(t testing.TB, lines ...string) *seal.Keyring {
	t.Helper()
	keys, err := seal.ParseKeys([]byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func logger(log *logbook.Book) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }

func open(t testing.TB, path string, keys *seal.Keyring, log *logbook.Book) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(boltstore.Options{Path: path, Keys: keys, Log: logger(log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newSession(sub string) session.Session {
	now := time.Now().Round(0)
	return session.Session{
		ID: session.NewHandle().ID(), Revision: 1, App: "default", Provider: "https://id.example.com",
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret("canary-access")},
			Refresh: session.RefreshToken{Secret: session.NewSecret("canary-refresh")},
			ID:      session.IDToken{Secret: session.NewSecret("canary-id")},
			Issued:  now, Lifetime: time.Hour,
		},
		Identity:  session.Identity{Subject: sub, SID: "canary-sid", Email: "canary@example.com", Name: "canary name"},
		CreatedAt: now, EndsAt: now.Add(8 * time.Hour), SweepAt: now.Add(40 * time.Minute),
	}
}

func create(t testing.TB, s *boltstore.Store, n int) []session.Session {
	t.Helper()
	all := make([]session.Session, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			all[i] = newSession(fmt.Sprint("canary-sub-", i))
			if err := s.Create(t.Context(), all[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return all
}

func TestASecondOpenerIsToldWhoseFileItIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	keys := ring(t, keyLine("k1"))
	s := open(t, path, keys, new(logbook.Book))
	all := create(t, s, 1)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = boltstore.Open(boltstore.Options{Path: path, Keys: keys, Log: slog.Default()})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second Open: %v, want an error that names the path and says it is in use", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the second opener changed the file (%v)", err)
	}
	if _, err := s.Get(t.Context(), all[0].ID); err != nil {
		t.Errorf("the first one is disturbed: %v", err)
	}
}

func TestNothingPersonalOrSecretIsOnDiskInTheClear(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path, ring(t, keyLine("k1")), new(logbook.Book))
	all := create(t, s, 3)
	if _, err := s.End(t.Context(), all[2].ID, session.ReasonLogout, store.Cond{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("canary")) {
		t.Error("the file holds a token, a subject, a sid, an email or a name in the clear")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	old, next := keyLine("old"), keyLine("new")
	s := open(t, path, ring(t, old), new(logbook.Book))
	a := create(t, s, 1)[0]
	_ = s.Close()

	s = open(t, path, ring(t, next, old), new(logbook.Book))
	if r, err := s.Get(t.Context(), a.ID); err != nil || r.Session.Token.Refresh != a.Token.Refresh {
		t.Fatalf("sealed under the old key: %v", err)
	}
	ids, err := s.Find(t.Context(), session.SubjectKey{App: a.App, Provider: a.Provider, Sub: a.Identity.Subject})
	if err != nil || len(ids) != 1 {
		t.Errorf("Find under the old key: %v %v, want the session", ids, err)
	}
	_, attempt, err := s.Begin(t.Context(), a.ID, 1, store.Intent{AttemptID: store.AttemptID{1}, Owner: "me"})
	if err != nil {
		t.Fatal(err)
	}
	b := a
	b.Revision = 2
	if err := s.Commit(t.Context(), attempt, b); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()

	log := new(logbook.Book)
	s = open(t, path, ring(t, next), log)
	if r, err := s.Get(t.Context(), a.ID); err != nil || r.Session.Revision != 2 {
		t.Errorf("re-sealed by Commit, the old key gone: %v", err)
	}
	_ = s.Close()

	s = open(t, path, ring(t, keyLine("other")), log)
	for range 3 {
		if _, err := s.Get(t.Context(), a.ID); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("without its key: %v, want ErrUnavailable", err)
		}
	}
	if n := strings.Count(log.String(), "cannot be read\" session="+a.ID.String()); n != 1 {
		t.Errorf("the log tells %d times of the session that cannot be read, want once: %s", n, log)
	}
	if !strings.Contains(log.String(), "sealed_with_another_key=1") {
		t.Errorf("the log does not tell of the lost key: %s", log)
	}
	_ = s.Close()
	if r, err := open(t, path, ring(t, next), log).Get(t.Context(), a.ID); err != nil || r.Session.Revision != 2 {
		t.Errorf("the key is back: %v", err)
	}
}

// Damage at many places: the store opens with every session readable or
// honestly unavailable, or the file is set aside as it was. Never a crash.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := ring(t, keyLine("k1"))
	path := filepath.Join(dir, "good.db")
	s := open(t, path, keys, new(logbook.Book))
	all := create(t, s, 200)
	_ = s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	damage := map[string]func([]byte) []byte{
		"one byte":          func(b []byte) []byte { return b[:1] },
		"text":              func([]byte) []byte { return bytes.Repeat([]byte("not a store\n"), 2000) },
		"cut":               func(b []byte) []byte { return b[:50*page] },
		"cut within a page": func(b []byte) []byte { return b[:40*page+77] },
		"a page":            func(b []byte) []byte { return b[:page] },
		"nearly two pages":  func(b []byte) []byte { return b[:2*page-1] },
		"two pages":         func(b []byte) []byte { return b[:2*page] },
		"no metas":          func(b []byte) []byte { clear(b[:2*page]); return b },
	}
	for p := range len(good) / page {
		if p%max(1, len(good)/page/12) == 0 {
			damage[fmt.Sprint("page ", p, " zeroed")] = func(b []byte) []byte { clear(b[p*page : (p+1)*page]); return b }
			damage[fmt.Sprint("page ", p, " flipped")] = func(b []byte) []byte {
				for i := p * page; i < (p+1)*page; i += 13 {
					b[i] ^= 0xff
				}
				return b
			}
		}
	}
	for name, change := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.db")
			bad := change(bytes.Clone(good))
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			log := new(logbook.Book)
			s := open(t, path, keys, log)
			aside, err := filepath.Glob(path + ".corrupt-*")
			if err != nil {
				t.Fatal(err)
			}
			if whole := strings.HasSuffix(name, "flipped") || strings.HasSuffix(name, "zeroed"); !whole && len(aside) != 1 {
				t.Errorf("the file is not set aside: %v", aside)
			}
			if len(aside) == 1 {
				kept, err := os.ReadFile(aside[0])
				if err != nil || !bytes.Equal(kept, bad) {
					t.Errorf("what was set aside is not the file as it was (%v)", err)
				}
				if strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), aside[0]) {
					t.Errorf("want one error line that names %s, got: %s", aside[0], log)
				}
			}
			for _, a := range all {
				r, err := s.Get(t.Context(), a.ID)
				switch {
				case err == nil && r.Session.Token.Refresh == a.Token.Refresh && r.Session.Identity.Subject == a.Identity.Subject:
				case errors.Is(err, session.ErrUnavailable):
				case errors.Is(err, session.ErrNotFound) && len(aside) == 1:
				default:
					t.Fatalf("a session is %v, %v after the damage, set aside: %v", r.Session.Identity.Subject, err, aside)
				}
			}
			if err := s.Create(t.Context(), newSession("after")); err != nil {
				t.Errorf("no session can be created: %v", err)
			}
		})
	}
}

// Two processes may find the same damage. The second must not set aside what the
// first has begun.
func TestOnlyTheFileFoundDamagedIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "s.db"), filepath.Join(dir, "other")
	for _, p := range []string{path, other} {
		if err := os.WriteFile(p, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set := func(found string) (aside int) {
		info, err := os.Stat(found)
		if err != nil {
			t.Fatal(err)
		}
		if err := boltstore.SetAside(boltstore.Options{Path: path, Log: slog.New(slog.DiscardHandler)}, info, errors.New("damaged")); err != nil {
			t.Error(err)
		}
		all, err := filepath.Glob(path + ".corrupt-*")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if n := set(other); n != 0 {
		t.Error("another file was set aside than the one that was found damaged")
	}
	lock, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if n := set(path); n != 0 {
		t.Error("the file was set aside under another's lock")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if n := set(path); n != 1 {
		t.Error("the damaged file was not set aside")
	}
}

func TestForeignAndNewerFilesAreRefusedUntouched(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(*bbolt.Tx) error{
		"somebody else's": func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err },
		"a newer version": func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte("format"))
			return errors.Join(err, b.Put([]byte("version"), []byte("2")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.db")
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(fill), db.Close()); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			_, err = boltstore.Open(boltstore.Options{Path: path, Keys: ring(t, keyLine("k1")), Log: slog.Default()})
			if !errors.Is(err, boltstore.ErrFormat) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want ErrFormat with the path", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpenErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "no", "such", "s.db"): "folder " + filepath.Join(dir, "no", "such") + " does not exist; create it",
		dir:                                      dir + " is no regular file; name a file, such as " + filepath.Join(dir, "sessions.db"),
		filepath.Join(file, "s.db"):              "not a directory",
	} {
		_, err := boltstore.Open(boltstore.Options{Path: path, Keys: ring(t, keyLine("k1")), Log: slog.Default()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 || left[0] != file {
		t.Errorf("after the refusals there is %v, %v", left, err)
	}
}

func TestAfterCloseEverythingIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "s.db"), ring(t, keyLine("k1")), new(logbook.Book))
	a := create(t, s, 1)[0]
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, getErr := s.Get(t.Context(), a.ID)
	_, _, dueErr := s.Due(t.Context(), time.Now(), time.Time{}, 1)
	_, findErr := s.Find(t.Context(), session.SubjectKey{App: "default"})
	_, _, beginErr := s.Begin(t.Context(), a.ID, 1, store.Intent{Owner: "me"})
	for name, err := range map[string]error{
		"Create": s.Create(t.Context(), newSession("x")), "Get": getErr, "Begin": beginErr, "Due": dueErr, "Find": findErr,
	} {
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s after Close: %v, want ErrUnavailable", name, err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	benchmark(b, func(s *boltstore.Store) error { return s.Create(b.Context(), newSession("x")) })
}

// A login and its first refresh: Create, Begin, Commit.
func BenchmarkRefresh(b *testing.B) {
	benchmark(b, func(s *boltstore.Store) error {
		a := newSession("x")
		if err := s.Create(b.Context(), a); err != nil {
			return err
		}
		_, attempt, err := s.Begin(b.Context(), a.ID, 1, store.Intent{AttemptID: store.AttemptID(a.ID[:16]), Owner: "me"})
		if err != nil {
			return err
		}
		a.Revision++
		return s.Commit(b.Context(), attempt, a)
	})
}

func benchmark(b *testing.B, op func(*boltstore.Store) error) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers, " writers"), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "s.db"), ring(b, keyLine("k1")), new(logbook.Book))
			left := make(chan struct{}, writers)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range left {
						if err := op(s); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				left <- struct{}{}
			}
			close(left)
			wg.Wait()
		})
	}
}
