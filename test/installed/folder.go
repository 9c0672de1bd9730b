package installed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lamplighter/lamplighter/test/filelock"
)

// Folder is [In] for a folder at the top of the checkout.
func Folder(ctx context.Context, below, name string, fill func(dir string) error) (string, error) {
	root, err := Checkout()
	if err != nil {
		return "", err
	}
	return In(ctx, filepath.Join(root, below), name, fill)
}

// In returns the folder of that name in below, filled by fill if it was not. It is
// safe against other calls, in this process and in others: one installs, the rest wait.
func In(ctx context.Context, below, name string, fill func(dir string) error) (string, error) {
	dir := filepath.Join(below, name)
	whole := filepath.Join(dir, "installed") // written last
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(below, 0o755); err != nil {
		return "", err
	}
	release, err := filelock.Take(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	defer release()
	// Whoever held the lock before may have finished the job, or been killed at it.
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", errors.Join(fmt.Errorf("install %s: %w", name, err), os.RemoveAll(dir))
	}
	return dir, os.WriteFile(whole, nil, 0o644)
}

// Verify holds a file against its SHA-256.
func Verify(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("check %s: its SHA-256 is %s, want %s", filepath.Base(path), got, want)
	}
	return nil
}

// Checkout is the folder of this module's go.mod, at or above the working
// directory: tests run in their package's folder, the demo at the top.
func Checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/lamplighter/lamplighter\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the checkout: no go.mod of lamplighter at or above the working directory")
		}
		dir = parent
	}
}
