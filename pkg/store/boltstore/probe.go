package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// guarded turns a panic of f into errDamaged, and a memory fault too: a file that
// is cut or changed while it is mapped.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// probe checks an existing file before it is opened to be written: every page
// that bbolt will look at, and whose file it is. The lock that bbolt takes to
// read keeps writers out meanwhile.
func probe(path string) (err error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil // nothing there, or openBolt tells better
	case !info.Mode().IsRegular():
		return fmt.Errorf("open store: %s is no regular file; name a file, such as %s, in store.bolt.path", path, filepath.Join(path, "sessions.db"))
	case info.Size() == 0:
		return nil
	}
	db, err := openBolt(path, true)
	if err != nil {
		for _, damage := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
			if errors.Is(err, damage) {
				return fmt.Errorf("%w: %w", errDamaged, damage)
			}
		}
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkPages(path); err != nil {
		return err
	}
	return db.View(checkFormat)
}

// checkFormat refuses files of somebody else, and of a version to come.
func checkFormat(tx *bbolt.Tx) error {
	if name, _ := tx.Cursor().First(); name == nil {
		return nil // just created
	}
	if b := tx.Bucket(bucketFormat); b == nil || !bytes.Equal(b.Get(keyFormat), format) {
		return fmt.Errorf("open store %s: %w; point store.bolt.path elsewhere, or run the version that wrote it", tx.DB().Path(), ErrFormat)
	}
	return nil
}
