package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Where things are in a page of bbolt, and which of them.
const (
	atID, atKind, atCount, atOverflow, pageHead = 0, 8, 10, 12, 16
	kindBranch, kindLeaf, elementSize           = 1, 2, 16

	// In a meta page.
	atRoot, atUsed, atTx = pageHead + 16, pageHead + 40, pageHead + 48
)

// storeFile is the file of a stopped store, to be damaged at one place. Its
// methods find the places that are in use: a store that has lived has old copies
// of everything.
type storeFile struct {
	t     *testing.T
	b     []byte
	page  int
	roots map[string]int // the root page of each bucket; 0: it is inside the root of all
	users []session.ID   // whose records there are
	ended session.ID     // of the last transaction
}

func readStore(t *testing.T, path string) *storeFile {
	t.Helper()
	f := &storeFile{t: t, b: content(t, path), roots: map[string]int{}}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, f.b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(copied, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f.page = db.Info().PageSize
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			f.roots[string(name)] = int(b.Root())
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *storeFile) clone() *storeFile {
	g := *f
	g.b = bytes.Clone(f.b)
	return &g
}

func (f *storeFile) number(at int) int { return int(binary.NativeEndian.Uint64(f.b[at:])) }

// newest is the meta page of the last transaction.
func (f *storeFile) newest() (page int) {
	if f.number(f.page+atTx) > f.number(atTx) {
		return 1
	}
	return 0
}

// inUse is how many bytes of the file are.
func (f *storeFile) inUse() int { return f.number(f.newest()*f.page+atUsed) * f.page }

// root is where the page of all buckets is.
func (f *storeFile) root() int { return f.number(f.newest()*f.page+atRoot) * f.page }

// branch is where the topmost page of the sessions is, which is not a leaf.
func (f *storeFile) branch() int {
	at := f.roots["sessions"] * f.page
	if f.kind(at) != kindBranch {
		f.t.Fatal("the sessions fit into one page: this needs more of them")
	}
	return at
}

func (f *storeFile) kind(at int) int { return int(binary.NativeEndian.Uint16(f.b[at+atKind:])) }

// leaves are where a bucket's leaf pages are.
func (f *storeFile) leaves(bucket string) (at []int) {
	root := f.roots[bucket] * f.page
	switch {
	case root == 0:
		f.t.Fatalf("bucket %s has no page of its own", bucket)
	case f.kind(root) == kindLeaf:
		return []int{root}
	}
	for i := range int(binary.NativeEndian.Uint16(f.b[root+atCount:])) {
		at = append(at, f.number(root+pageHead+i*elementSize+8)*f.page)
	}
	return at
}

// leaf is where the first of them is.
func (f *storeFile) leaf(bucket string) int { return f.leaves(bucket)[0] }

// find is where something is within the page at page, with its overflow.
func (f *storeFile) find(page int, what []byte) (at int, ok bool) {
	end := page + (1+int(binary.NativeEndian.Uint32(f.b[page+atOverflow:])))*f.page
	i := bytes.Index(f.b[page:end], what)
	return page + i, i >= 0
}

// record is where the first user's record begins, with its key.
func (f *storeFile) record() int {
	for _, page := range f.leaves("sessions") {
		if at, ok := f.find(page, f.users[0][:]); ok {
			return at
		}
	}
	f.t.Fatal("no record of the first user")
	return 0
}

// inRecord is where something is in that record.
func (f *storeFile) inRecord(what string) int {
	at := f.record()
	i := bytes.Index(f.b[at:at+f.page], []byte(what))
	if i < 0 {
		f.t.Fatalf("no %s in the record", what)
	}
	return at + i
}

// tombstone is where that of the ended session begins, with its key.
func (f *storeFile) tombstone() int {
	page := f.roots["tombstones"] * f.page
	if page == 0 {
		page = f.root()
	}
	at, ok := f.find(page, f.ended[:])
	if !ok {
		f.t.Fatal("no tombstone")
	}
	return at
}

// flip changes one byte.
func (f *storeFile) flip(at int) { f.b[at] ^= 0x5a }

// add changes a small number of a page header, or an element.
func (f *storeFile) add(at int, n uint16) {
	binary.NativeEndian.PutUint16(f.b[at:], binary.NativeEndian.Uint16(f.b[at:])+n)
}

func (f *storeFile) cut(n int) { f.b = f.b[:n] }

// listFree makes the file one with a list of free pages, as bbolt writes it
// unless told otherwise, and returns where that is.
func (f *storeFile) listFree() int {
	path := filepath.Join(f.t.TempDir(), "listed.db")
	if err := os.WriteFile(path, f.b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = db.Update(func(*bbolt.Tx) error { return nil })
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.b = content(f.t, path)
	return f.number(f.newest()*f.page+pageHead+32) * f.page
}
