package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// probe walks an existing file read-only: every page that bbolt will look at.
// bbolt itself checks pages in a goroutine of its own, where a fault would end
// the process.
func probe(path string) (err error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil // nothing there, or openBolt tells better
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
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
	if err := checkMetas(path); err != nil {
		return err
	}
	return db.View(walk)
}

// The part of a bbolt file that is checked here: each of the first two pages
// holds, behind a header, 56 bytes and their FNV-1a sum.
const (
	pageHeader   = 16
	metaSummed   = 56
	metaPageSize = 8 // where the page size is in them
)

// checkMetas wants both meta pages whole. bbolt is content with one, but the
// other may be the newer: the last transaction would be undone without a word,
// and with it a logout, or the only trace of a spent refresh token.
func checkMetas(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer f.Close()
	pageSize := int64(0)
	for page := range int64(2) {
		meta := make([]byte, metaSummed+8)
		if _, err := f.ReadAt(meta, page*pageSize+pageHeader); err != nil {
			return fmt.Errorf("%w: meta page %d: %w", errDamaged, page, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSummed])
		if sum.Sum64() != binary.NativeEndian.Uint64(meta[metaSummed:]) {
			return fmt.Errorf("%w: meta page %d has a wrong checksum", errDamaged, page)
		}
		pageSize = int64(binary.NativeEndian.Uint32(meta[metaPageSize:]))
	}
	return nil
}

// walk reads every key and value of every bucket.
func walk(tx *bbolt.Tx) error {
	buckets := 0
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		buckets++
		var last []byte
		touched := byte(0)
		return b.ForEach(func(k, v []byte) error {
			if last != nil && bytes.Compare(last, k) >= 0 {
				return fmt.Errorf("%w: keys of %q are out of order", errDamaged, name)
			}
			last = bytes.Clone(k)
			for _, c := range v {
				touched ^= c
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if b := tx.Bucket(bucketFormat); buckets > 0 && (b == nil || !bytes.Equal(b.Get(keyFormat), format)) {
		return fmt.Errorf("open store %s: %w; point store.bolt.path elsewhere, or run the version that wrote it", tx.DB().Path(), ErrFormat)
	}
	return nil
}
