package boltstore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/logbook"
)

func openReadOnly(t *testing.T, path string, keys string) (*boltstore.Store, error) {
	t.Helper()
	s, err := boltstore.Open(boltstore.Options{Path: path, Keys: ring(t, keys), Log: logger(new(logbook.Book)), ReadOnly: true})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// A file that is only read is not changed, whoever asks for what; and nobody serves
// it meanwhile.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "s.db"), keyLine("k1")
	first := open(t, path, ring(t, key), new(logbook.Book))
	all := create(t, first, 3)
	if _, err := openReadOnly(t, path, key); !errors.Is(err, boltstore.ErrInUse) {
		t.Errorf("beside a lamplighter: %v, want ErrInUse", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openReadOnly(t, path, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openReadOnly(t, path, key); err != nil {
		t.Errorf("two who only read: %v", err)
	}
	for _, ses := range all {
		if r, err := s.Get(t.Context(), ses.ID); err != nil || r.Session.Identity.Subject != ses.Identity.Subject {
			t.Errorf("Get: %+v, %v", r.Session, err)
		}
	}
	if ids, next, err := s.List(t.Context(), "", 10); err != nil || len(ids) != 3 || next != "" {
		t.Errorf("List: %v, %q, %v", ids, next, err)
	}
	if _, err := s.End(t.Context(), all[0].ID, session.ReasonLogout, store.Cond{}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("End: %v, want ErrUnavailable", err)
	}
	if _, err := boltstore.Open(boltstore.Options{Path: path, Keys: ring(t, key), Log: logger(new(logbook.Book))}); !errors.Is(err, boltstore.ErrInUse) {
		t.Errorf("a lamplighter beside it: %v, want ErrInUse", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed, %v", err)
	}
}

// What is no store is neither made nor set aside.
func TestReadOnlyMakesNothing(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"": "", "empty.db": "", "short.db": "bolt?", "damaged.db": strings.Repeat("not a store ", 4096)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "missing.db")
		if name != "" {
			path = filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := openReadOnly(t, path, keyLine("k1")); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names it", path, err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) > 1 || name == "" && len(files) > 0 || name != "" && files[0] != path {
			t.Errorf("%s: there is %q, %v", path, files, err)
		}
	}
}
