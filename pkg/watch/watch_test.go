package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/watch"
)

// A mounted ConfigMap: the files are links through ..data, which is swapped.
func TestChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	version := func(name, text string) {
		must(os.Mkdir(filepath.Join(dir, name), 0o755))
		must(os.WriteFile(filepath.Join(dir, name, "a.yaml"), []byte(text), 0o600))
		must(os.Symlink(name, filepath.Join(dir, "..tmp")))
		must(os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	version("..1", "one")
	a, b, none := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b"), filepath.Join(dir, "none")
	must(os.Symlink("..data/a.yaml", a))
	must(os.WriteFile(b, []byte("b"), 0o600))

	var f watch.Files
	f.Watch(a, b, none)
	expect := func(what string, want bool) {
		t.Helper()
		if got := f.Changed(); got != want {
			t.Errorf("%s: changed is %v", what, got)
		}
		if f.Changed() {
			t.Errorf("%s: told twice", what)
		}
	}
	expect("at first", false)
	version("..2", "one")
	expect("swapped, with the same in it", false)
	version("..3", "two")
	expect("swapped", true)
	must(os.WriteFile(none, nil, 0o600))
	expect("an empty file where none was", true)
	must(os.Remove(b))
	expect("removed", true)
	must(os.WriteFile(b, []byte("b"), 0o600))
	expect("put back", true)

	version("..4", "three")
	f.Watch(a, b) // names are set anew before they are read anew, and nothing is missed
	expect("swapped before the names were set anew", true)
	must(os.WriteFile(none, []byte("more"), 0o600))
	expect("no longer watched", false)
	must(os.WriteFile(b, []byte("c"), 0o600))
	f.Watch(a, none)
	f.Watch(a, b, none)
	expect("watched anew, as it is now", false)
}

// A pipe can be read once, and not by us: the config of `--config <(…)` is one.
func TestPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("all of it"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	name := fmt.Sprintf("/dev/fd/%d", r.Fd())
	var f watch.Files
	if f.Watch(name); f.Changed() {
		t.Error("a pipe has changed")
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "all of it" {
		t.Errorf("what is left in the pipe: %q, %v", got, err)
	}
}
