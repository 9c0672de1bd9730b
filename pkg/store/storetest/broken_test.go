package storetest

import (
	"slices"
	"strings"
	"testing"
)

// broken is a store with one promise broken, and the checks that must see it.
type broken struct {
	name   string
	flaw   flaw
	caught []string
}

func brokenStores() []broken {
	return slices.Concat(
		brokenCreate(), brokenGet(), brokenValues(),
		brokenBegin(), brokenBeginAgain(), brokenBeginOver(), brokenOrder(),
		brokenCommit(), brokenCommitOnce(), brokenExtend(), brokenFailForms(), brokenFail(),
		brokenEnd(), brokenEndAll(), brokenTombstone(), brokenEndIf(),
		brokenDue(), brokenDuePage(), brokenParking(), brokenTouch(), brokenFind(), brokenReap(),
		brokenHistory(), brokenLookup(), brokenList(), brokenImport(), brokenImportOver(), brokenBury(), brokenRestart(), brokenErrors(), brokenRace(),
	)
}

func TestASoundStorePasses(t *testing.T) {
	t.Parallel()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if failures := record(t, c, flawedBackend()); len(failures) > 0 {
				t.Errorf("a sound store fails: %s", strings.Join(failures, "\n"))
			}
		})
	}
}

func TestBrokenStoresAreCaught(t *testing.T) {
	t.Parallel()
	all := checks()
	for _, b := range brokenStores() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range b.caught {
				i := slices.IndexFunc(all, func(c check) bool { return c.name == name })
				if i < 0 {
					t.Fatalf("no check is named %q", name)
				}
				failures := record(t, all[i], flawedBackend(b.flaw))
				if len(failures) == 0 {
					t.Errorf("%q passes", name)
				}
				t.Logf("%s: %s", name, strings.Join(failures, "\n"))
			}
		})
	}
}

// A check that nothing can fail promises nothing.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	caught := make(map[string]bool)
	for _, b := range brokenStores() {
		for _, name := range b.caught {
			caught[name] = true
		}
	}
	for _, c := range checks() {
		if !caught[c.name] {
			t.Errorf("no broken store shows that %q can fail", c.name)
		}
	}
}
