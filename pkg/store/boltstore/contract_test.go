package boltstore_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/pkg/store/storetest"
	"github.com/lamplighter/lamplighter/test/logbook"
)

// TestContract restarts a store as kill -9 does: from the bytes on disk, while
// the old process has told nobody that it ends.
func TestContract(t *testing.T) {
	t.Parallel()
	keys := ring(t, keyLine("k1"))
	var paths sync.Map // *boltstore.Store → path
	at := func(t testing.TB, path string) storetest.Full {
		s := open(t, path, keys, new(logbook.Book))
		paths.Store(s, path)
		return s
	}
	storetest.Run(t, storetest.Backend{
		Open: func(t testing.TB) storetest.Full { return at(t, filepath.Join(t.TempDir(), "s.db")) },
		Restart: func(t testing.TB, old storetest.Full) storetest.Full {
			path, _ := paths.Load(old.(*boltstore.Store))
			b, err := os.ReadFile(path.(string))
			if err != nil {
				t.Fatal(err)
			}
			next := filepath.Join(t.TempDir(), "s.db")
			if err := os.WriteFile(next, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return at(t, next)
		},
	})
}
