package memstore_test

import (
	"testing"

	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/pkg/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{
		Open:    func(testing.TB) storetest.Full { return memstore.New() },
		Restart: func(_ testing.TB, old storetest.Full) storetest.Full { return old.(*memstore.Store).Restarted() },
	})
}
