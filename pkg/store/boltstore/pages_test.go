package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"go.etcd.io/bbolt"
)

// grown is the file of a store that has lived: branches, pages with overflow,
// free pages, tombstones.
func grown(t testing.TB, keys *seal.Keyring, n int) (file []byte, live []session.Session) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.db")
	s := open(t, path, keys, new(logbook.Book))
	live = create(t, s, n)
	for i, a := range live {
		var err error
		switch i % 4 {
		case 0:
			_, _, err = s.Begin(t.Context(), a.ID, 0, store.Intent{AttemptID: store.AttemptID(a.ID[:16]), Owner: "me"})
		case 1:
			err = s.Touch(t.Context(), map[session.ID]time.Time{a.ID: time.Now()})
		case 2:
			_, err = s.End(t.Context(), a.ID, session.ReasonLogout, store.Cond{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, slices.DeleteFunc(live, func(a session.Session) bool {
		return slices.IndexFunc(live, func(b session.Session) bool { return a.ID == b.ID })%4 == 2
	})
}

// bbolt crashes the process at much of this: a page header, an element or a
// bucket that is not what it should be. The store must open whole, or set the
// file aside.
func TestNoDamageCrashesTheProcess(t *testing.T) {
	t.Parallel()
	keys := ring(t, keyLine("k1"))
	good, live := grown(t, keys, 150)
	const page, pageHeader = 4096, 16
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range 80 {
		bad := bytes.Clone(good)
		// Headers and the tables of elements are where a page begins.
		at := rnd.IntN(len(good)/page)*page + rnd.IntN(128)
		switch i % 3 {
		case 0:
			bad[at] ^= byte(1 + rnd.IntN(255))
		case 1:
			binary.NativeEndian.PutUint32(bad[at&^3:], rnd.Uint32())
		default:
			at -= at % page // a small number in a header: another count, overflow or kind
			at += rnd.IntN(pageHeader) &^ 1
			binary.NativeEndian.PutUint16(bad[at:], uint16(rnd.IntN(200)))
		}
		t.Run(fmt.Sprintf("page %d byte %d", at/page, at%page), func(t *testing.T) {
			t.Parallel()
			mustBeWholeOrAside(t, keys, bad, live)
		})
	}
}

// Each is done to all pages of a kind, so that it meets the living ones.
func TestWhatPagesMayNotBe(t *testing.T) {
	t.Parallel()
	keys := ring(t, keyLine("k1"))
	good, _ := grown(t, keys, 150)
	const page, branch, leaf = 4096, 1, 2
	u16, u32, u64 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32, binary.NativeEndian.PutUint64
	for name, tt := range map[string]struct {
		kind   uint16
		change func(p []byte, id uint64)
	}{
		"another's id":              {leaf, func(p []byte, id uint64) { u64(p, id+1) }},
		"no kind":                   {leaf, func(p []byte, _ uint64) { u16(p[8:], 0) }},
		"two kinds":                 {leaf, func(p []byte, _ uint64) { u16(p[8:], 3) }},
		"one element less":          {leaf, func(p []byte, _ uint64) { u16(p[10:], binary.NativeEndian.Uint16(p[10:])-1) }},
		"one element more":          {leaf, func(p []byte, _ uint64) { u16(p[10:], binary.NativeEndian.Uint16(p[10:])+1) }},
		"elements past the page":    {leaf, func(p []byte, _ uint64) { u16(p[10:], 0xffff) }},
		"endless overflow":          {leaf, func(p []byte, _ uint64) { u32(p[12:], 0xffffffff) }},
		"overflow over its brother": {leaf, func(p []byte, _ uint64) { u32(p[12:], binary.NativeEndian.Uint32(p[12:])+1) }},
		"unknown flags":             {leaf, func(p []byte, _ uint64) { u32(p[16:], 0xfe) }},
		"a record as a bucket":      {leaf, func(p []byte, _ uint64) { u32(p[16:], 1) }},
		"key before the page":       {leaf, func(p []byte, _ uint64) { u32(p[20:], 0) }},
		"key past the page":         {leaf, func(p []byte, _ uint64) { u32(p[20:], 0xfffffff0) }},
		"no key":                    {leaf, func(p []byte, _ uint64) { u32(p[24:], 0) }},
		"endless key":               {leaf, func(p []byte, _ uint64) { u32(p[24:], 0xffffffff) }},
		"endless value":             {leaf, func(p []byte, _ uint64) { u32(p[28:], 0x7fffffff) }},
		"no children":               {branch, func(p []byte, _ uint64) { u16(p[10:], 0) }},
		"its own child":             {branch, func(p []byte, id uint64) { u64(p[24:], id) }},
		"a child twice":             {branch, func(p []byte, _ uint64) { copy(p[40:48], p[24:32]) }},
		"a child past the file":     {branch, func(p []byte, _ uint64) { u64(p[24:], 1<<40) }},
		"a meta page as a child":    {branch, func(p []byte, _ uint64) { u64(p[24:], 1) }},
		"a key twice": {leaf, func(p []byte, _ uint64) {
			first, second := 16+binary.NativeEndian.Uint32(p[20:]), 32+binary.NativeEndian.Uint32(p[36:])
			if binary.NativeEndian.Uint16(p[10:]) > 1 && binary.NativeEndian.Uint32(p[24:]) == binary.NativeEndian.Uint32(p[40:]) {
				copy(p[second:], p[first:first+binary.NativeEndian.Uint32(p[24:])])
			}
		}},
		"branch key past the page": {branch, func(p []byte, _ uint64) { u32(p[20:], 0x7fffffff) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s.db")
			bad, changed := bytes.Clone(good), 0
			for at := 2 * page; at < len(bad); at += page {
				p, id := bad[at:at+page], uint64(at/page)
				if binary.NativeEndian.Uint64(p) == id && binary.NativeEndian.Uint16(p[8:]) == tt.kind && binary.NativeEndian.Uint16(p[10:]) > 0 {
					tt.change(p, id)
					changed++
				}
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil || changed == 0 {
				t.Fatalf("%d pages changed: %v", changed, err)
			}
			if err := boltstore.CheckPages(path); err == nil {
				t.Error("it is left to bbolt to find out")
			}
			log := new(logbook.Book)
			open(t, path, keys, log)
			aside, err := filepath.Glob(path + ".corrupt-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v, %v; want the damaged file", aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, bad) {
				t.Errorf("what was set aside is not the file as it was (%v)", err)
			}
		})
	}
}

func mustBeWholeOrAside(t *testing.T, keys *seal.Keyring, bad []byte, live []session.Session) {
	path := filepath.Join(t.TempDir(), "s.db")
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := boltstore.Open(boltstore.Options{Path: path, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, boltstore.ErrFormat) {
		return // the damage is in the format's own bucket
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	aside, err := filepath.Glob(path + ".corrupt-*")
	if err != nil {
		t.Fatal(err)
	}
	if len(aside) > 0 {
		if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, bad) {
			t.Errorf("what was set aside is not the file as it was (%v)", err)
		}
		return
	}
	for _, a := range live {
		r, err := s.Get(t.Context(), a.ID)
		if errors.Is(err, session.ErrUnavailable) {
			continue // its record is damaged, and says so
		}
		if err != nil || r.Session.Token.Refresh != a.Token.Refresh {
			t.Errorf("a session is %v, %v", r.Session.ID, err)
		}
	}
	if err := s.Create(t.Context(), newSession("after")); err != nil {
		t.Errorf("the opened store cannot be written: %v", err)
	}
}

// Somebody else's file is refused, not set aside, whatever bbolt has put in it.
func TestAForeignFileWithFreePagesIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "theirs.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("theirs"))
			for j := range 300 {
				key := fmt.Appendf(nil, "%d-%d", i, j)
				err = errors.Join(err, b.Put(key, make([]byte, 5000)))
				if j%2 == 1 {
					err = errors.Join(err, b.Delete(key))
				}
			}
			nested, nestErr := b.CreateBucketIfNotExists([]byte("nested"))
			return errors.Join(err, nestErr, nested.Put([]byte("k"), []byte("v")))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = boltstore.Open(boltstore.Options{Path: path, Keys: ring(t, keyLine("k1")), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, boltstore.ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}
