package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/store"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	bucketFormat   = []byte("format")
	bucketSessions = []byte("sessions") // id → record
	bucketTombs    = []byte("tombstones")
	bucketUsed     = []byte("used")     // id → Unix nanoseconds of the last use
	bucketSubjects = []byte("subjects") // keyed hash, id → nothing
	keyFormat      = []byte("version")
	format         = []byte("1")
)

// ErrFormat is a file that a newer Lamplighter, or something else, has written.
var ErrFormat = errors.New("store file is not of this version of lamplighter")

// ErrInUse is a file that another process has open.
var ErrInUse = errors.New("is in use by another process")

var errDamaged = errors.New("store file is damaged")

// Options of Open.
type Options struct {
	Path string // its folder must exist
	Keys *seal.Keyring
	Log  *slog.Logger
	Now  func() time.Time // nil: time.Now
	// ReadOnly is for a file that must be there and is not changed: a step is
	// session.ErrUnavailable, and a damaged file is an error.
	ReadOnly bool
}

const (
	lockTimeout = 2 * time.Second // for another process to let go of the file
	fileMode    = 0o600
	keySample   = 100 // sessions opened at start, to notice a lost key without opening a million
)

// Open opens or creates the store. The errors say what to do, among them ErrInUse
// and ErrFormat. A damaged file is set aside and a new one begun; only the log tells.
func Open(o Options) (*Store, error) {
	for {
		before, _ := os.Stat(o.Path)
		var s *Store
		err := guarded(func() (err error) {
			s, err = begin(o)
			return err
		})
		if err == nil {
			go s.commitLoop()
			return s, nil
		}
		if !errors.Is(err, errDamaged) {
			return nil, err
		}
		if o.ReadOnly {
			return nil, fmt.Errorf("open store %s: %w; `lamplighter serve` sets it aside", o.Path, err)
		}
		if err := setAside(o, before, err); err != nil {
			return nil, err
		}
	}
}

// begin opens a file that is not damaged, or finds out that it is.
func begin(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if info, err := os.Stat(o.Path); o.ReadOnly && (err != nil || info.Size() == 0) {
		return nil, fmt.Errorf("open store: %s is not there, or empty; is it the store.bolt.path of the lamplighter that has run?", o.Path)
	}
	if err := probe(o.Path); err != nil {
		return nil, err
	}
	db, err := openBolt(o.Path, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, path: o.Path, codec: store.NewCodec(o.Keys), keys: o.Keys, log: o.Log, now: o.Now,
		owners: make(map[string]bool), alarm: store.NewAlarm(o.Log),
		queue: make(chan *write, maxBatch), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	if err := s.create(); o.ReadOnly && err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: it has never held a session", o.Path), db.Close())
	} else if err != nil {
		return nil, errors.Join(fmt.Errorf("write store %s: %w; is there space left?", o.Path, err), db.Close())
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// openBolt tells apart what a person must do about it.
func openBolt(path string, readOnly bool) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, ReadOnly: readOnly,
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open store: %s %w; one lamplighter owns a store file: stop the other, or give this one its own store.bolt.path", path, ErrInUse)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open store: folder %s does not exist; create it, writable for this user, or change store.bolt.path", filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("open store: %w; make %s and its folder writable for this user (uid %d), or change store.bolt.path", err, path, os.Getuid())
	case readOnly && short(path): // bbolt has no sentinel for it
		return nil, fmt.Errorf("%w: file ends before its second page", errDamaged)
	default:
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
}

// short tells of a file that is there and has no room for both meta pages.
func short(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0 && info.Size() < int64(2*os.Getpagesize())
}

// setAside renames the file that was found damaged, under its lock: when another
// process has done so first, the path is that process's new file, and stays.
func setAside(o Options, found os.FileInfo, why error) error {
	f, err := os.Open(o.Path)
	if err != nil {
		return fmt.Errorf("set damaged store aside: %w", err)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // the other process is about to
	}
	if now, err := os.Stat(o.Path); err != nil || !os.SameFile(found, now) {
		return nil
	}
	aside := o.Path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(o.Path, aside); err != nil {
		return fmt.Errorf("set store aside (%w): %w; make its folder writable for this user (uid %d), or move the file away", why, err, os.Getuid())
	}
	o.Log.Error("store file is damaged: it is set aside and a new one begun, everybody must sign in again", "path", o.Path, "kept_as", aside, "problem", why)
	return nil
}

// create writes the buckets of a new store. An existing one is left as it is, so
// that a start that fails later has changed nothing.
func (s *Store) create() error {
	old := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		old = tx.Bucket(bucketFormat) != nil
		return nil
	})
	if err != nil || old {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketFormat, bucketSessions, bucketTombs, bucketUsed, bucketSubjects} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketFormat).Put(keyFormat, format)
	})
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	_ = folder.Sync() // the new file's name; not every file system can, and what it can it has done
	return folder.Close()
}

// load rebuilds what is kept in memory.
func (s *Store) load() error {
	damaged, checked, otherKey := 0, 0, 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		used := tx.Bucket(bucketUsed)
		return tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
			m, err := store.DecodeMeta(v)
			if err != nil {
				damaged++
				return nil
			}
			if !bytes.Equal(m.ID[:], k) { // whoever asks for it would be told that it never was
				return fmt.Errorf("%w: a session is under another's key", errDamaged)
			}
			if checked < keySample {
				checked++
				if _, err := s.codec.Decode(v); err != nil {
					otherKey++
				}
			}
			s.due.Restore(m, lastUse(used, k))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read store %s: %w", s.path, err)
	}
	if damaged+otherKey > 0 {
		s.log.Error("sessions cannot be read: their users get 503 until session.keys_file holds the key they were sealed with",
			"path", s.path, "damaged", damaged, "checked", checked, "sealed_with_another_key", otherKey, "keys", s.keys)
	}
	return nil
}
