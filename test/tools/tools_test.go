package tools

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lamplighter/lamplighter/test/installed"
)

// counting is a source that leaves a file, and counts.
type counting struct {
	name    string
	fetched *atomic.Int64
	fails   error
}

func (c counting) folder() string { return c.name }

func (c counting) fetch(_ context.Context, dir string) error {
	c.fetched.Add(1)
	return errors.Join(os.WriteFile(filepath.Join(dir, "program"), nil, 0o755), c.fails)
}

func countingSource(t *testing.T) counting {
	t.Helper()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	c := counting{name: "of-a-test-" + rand.Text(), fetched: new(atomic.Int64)}
	t.Cleanup(func() {
		_ = os.RemoveAll(filepath.Join(root, below, c.name))
		_ = os.Remove(filepath.Join(root, below, c.name+".lock"))
	})
	return c
}

func TestWhatIsThereIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	from := countingSource(t)
	var log bytes.Buffer
	for range 3 {
		path, err := program{from, "program"}.install(t.Context(), &log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if from.fetched.Load() != 1 || log.String() != "tools: getting "+from.name+"\n" {
		t.Errorf("fetched %d times, log %q", from.fetched.Load(), &log)
	}
}

func TestAFetchThatFailedIsRepeated(t *testing.T) {
	t.Parallel()
	from := countingSource(t)
	from.fails = errors.New("the registry is closed")
	for range 2 {
		if path, err := (program{from, "program"}).install(t.Context(), t.Output()); !errors.Is(err, from.fails) {
			t.Errorf("got %s, %v", path, err)
		}
	}
	if from.fetched.Load() != 2 {
		t.Errorf("fetched %d times", from.fetched.Load())
	}
}

func TestAnUnknownNameIsToldWithTheKnownOnes(t *testing.T) {
	t.Parallel()
	_, err := Path(t.Context(), "docker", t.Output())
	if err == nil || !strings.HasPrefix(err.Error(), "get docker: not known, known are etcd, helm, ") {
		t.Errorf("got %v", err)
	}
}

func TestAMissingCommandSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := debian{"prometheus"}.fetch(t.Context(), t.TempDir())
	if err == nil || err.Error() != "use a Debian, whose prometheus the tests run: apt-get is not on PATH" {
		t.Errorf("got %v", err)
	}
}

// A new version is another folder: nobody runs what an older checkout has left.
func TestFoldersNameTheVersion(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"helm":             "kubectl-layer-2.2.2",
		"helm-unittest":    "helm-unittest-1.1.2",
		"kubectl-validate": "kubectl-validate-0.0.4",
		"etcd":             "etcd-3.7.3",
		"kube-apiserver":   "kube-apiserver-1.37.2",
	} {
		if got := programs()[name].from.folder(); got != want {
			t.Errorf("%s is in %s, want %s", name, got, want)
		}
	}
}

func TestScratchModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const gomod = `module example.com/big

go 1.26.0

replace (
	example.com/api => ./staging/api
	example.com/fork v1.0.0 => example.com/other v1.0.1
)
`
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(gomod), 0o644); err != nil {
		t.Fatal(err)
	}
	const head, fork = "module scratch\n\ngo 1.26.0\n\nrequire example.com/big v1.37.2\n\n", "replace example.com/fork v1.0.0 => example.com/other v1.0.1\n"
	for staging, want := range map[string]string{
		"v0.37.2": head + "replace example.com/api => example.com/api v0.37.2\n" + fork,
		"":        head + fork,
	} {
		got, err := built{module: "example.com/big", version: "v1.37.2", staging: staging}.scratch(t.Context(), dir)
		if err != nil || got != want {
			t.Errorf("staging %q: got %v\n%s", staging, err, got)
		}
	}
}
