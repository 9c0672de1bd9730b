package installed

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// place is a name below .tools that is not there yet.
func place(t *testing.T) string {
	t.Helper()
	root, err := Checkout()
	if err != nil {
		t.Fatal(err)
	}
	name := "of-a-test-" + rand.Text()
	t.Cleanup(func() {
		_ = os.RemoveAll(filepath.Join(root, ".tools", name))
		_ = os.Remove(filepath.Join(root, ".tools", name+".lock"))
	})
	return name
}

func TestInstalledOnce(t *testing.T) {
	t.Parallel()
	name := place(t)
	var filled atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := Folder(t.Context(), ".tools", name, func(dir string) error {
				filled.Add(1)
				return os.WriteFile(filepath.Join(dir, "program"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if filled.Load() != 1 {
		t.Errorf("installed %d times", filled.Load())
	}
}

// Half an installation is none: nothing is left, and the next one begins from nothing.
func TestInstallFailsAndIsRepeated(t *testing.T) {
	t.Parallel()
	name := place(t)
	broken := errors.New("out of paper")
	var half string
	_, err := Folder(t.Context(), ".tools", name, func(dir string) error {
		half = dir
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("what failed is still there")
	}
	// As a killed one leaves it.
	if err := os.MkdirAll(filepath.Join(half, "fetched"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := Folder(t.Context(), ".tools", name, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fetched")); err == nil {
		t.Error("what was half done is still there")
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Verify(path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); err != nil {
		t.Error(err)
	}
	if err := Verify(path, strings.Repeat("0", 64)); err == nil {
		t.Error("another file was taken")
	}
}
