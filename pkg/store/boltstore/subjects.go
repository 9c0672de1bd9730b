package boltstore

import (
	"bytes"
	"slices"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
)

// entries are the keys in the subject index under which ses may be listed: under
// every key of the ring, the first one's first. An entry made under a key that
// has left the ring stays; Find verifies every hit on the record.
func (s *Store) entries(ses session.Session) (keys [][]byte) {
	for _, k := range store.SubjectKeys(ses) {
		for sum := range s.codec.SubjectSums(k) {
			keys = append(keys, append(sum[:], ses.ID[:]...))
		}
	}
	return keys
}

// list gives ses its entries, and takes away what it was listed under before. A
// refresh seldom changes any, and then no page is written for them.
func (s *Store) list(tx *bbolt.Tx, ses session.Session, before [][]byte) error {
	index := tx.Bucket(bucketSubjects)
	for _, k := range store.SubjectKeys(ses) {
		sum := s.codec.SubjectSum(k)
		key := append(sum[:], ses.ID[:]...)
		before = without(before, key)
		if has, _ := index.Cursor().Seek(key); bytes.Equal(has, key) {
			continue
		}
		if err := index.Put(key, nil); err != nil {
			return err
		}
	}
	return drop(index, before)
}

func without(keys [][]byte, key []byte) [][]byte {
	return slices.DeleteFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

// drop deletes those of keys that are there.
func drop(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
