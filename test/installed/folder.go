package installed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/filelock"
)

// Folder returns the folder of that name below one at the top of the checkout,
// filled by fill if it was not. It is safe against other calls, in this process
// and in others: one installs, the rest wait.
func Folder(ctx context.Context, below, name string, fill func(dir string) error) (string, error) {
	root, err := envoytest.Checkout()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, below, name)
	whole := filepath.Join(dir, "installed") // written last
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
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
		return "", fmt.Errorf("install %s: %w", name, err)
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
