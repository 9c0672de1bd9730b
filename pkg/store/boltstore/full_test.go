package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/test/logbook"
)

const fullDisk = "BOLTSTORE_TEST_FULL_DISK" // tells TestMain which file to fill

// TestMain is also the main of the child whose files the kernel keeps small: a
// limit is one of a whole process.
func TestMain(m *testing.M) {
	if path := os.Getenv(fullDisk); path != "" {
		if err := fill(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fullDisk+"="+filepath.Join(t.TempDir(), "s.db"))
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// filler creates sessions and remembers those that the store has promised to keep.
type filler struct {
	*boltstore.Store
	kept []session.Session
}

func (f *filler) create() error {
	ses := newSession("x")
	err := f.Create(context.Background(), ses)
	if err == nil {
		f.kept = append(f.kept, ses)
	}
	return err
}

func (f *filler) whole(when string) error {
	for i, ses := range f.kept {
		if _, err := f.Get(context.Background(), ses.ID); err != nil {
			return fmt.Errorf("%s, session %d of %d: %w", when, i, len(f.kept), err)
		}
	}
	return nil
}

func fill(path string) error {
	keys, err := seal.ParseKeys([]byte(keyLine("k1")))
	if err != nil {
		return err
	}
	log := new(logbook.Book)
	s, err := boltstore.Open(boltstore.Options{Path: path, Keys: keys, Log: logger(log)})
	if err != nil {
		return err
	}
	f := &filler{Store: s}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 18, Max: limit.Max}); err != nil {
		return err
	}
	for refused := 0; refused < 5; {
		err := f.create()
		switch {
		case errors.Is(err, session.ErrUnavailable):
			refused++
		case err != nil || len(f.kept) > 1<<14:
			return fmt.Errorf("%d sessions on a full disk, then %w; want ErrUnavailable", len(f.kept), err)
		}
	}
	if err := f.whole("on a full disk"); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for range 100 {
		if err := f.create(); err != nil {
			return fmt.Errorf("create with space again: %w", err)
		}
	}
	if err := errors.Join(f.whole("with space again"), f.Close()); err != nil {
		return err
	}
	if f.Store, err = boltstore.Open(boltstore.Options{Path: path, Keys: keys, Log: logger(log)}); err != nil {
		return err
	}
	if err := errors.Join(f.whole("after a restart"), f.Close()); err != nil {
		return err
	}
	if strings.Contains(log.String(), "damaged") {
		return fmt.Errorf("the full disk damaged the file: %s", log.String())
	}
	return nil
}
