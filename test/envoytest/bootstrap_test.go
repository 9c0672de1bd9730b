package envoytest

import (
	"strings"
	"testing"
)

func TestShippedRaisesTheBreakers(t *testing.T) {
	t.Parallel()
	e := Run(t, Options{Bootstrap: Shipped, AuthzAddress: "127.0.0.1:1", AppAddress: "127.0.0.1:1", Concurrency: 1})
	clusters, err := e.get(t.Context(), "/clusters")
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []string{
		"app::default_priority::max_connections", "app::default_priority::max_pending_requests", "app::default_priority::max_requests",
		"lamplighter::default_priority::max_connections", "lamplighter::default_priority::max_pending_requests",
		"lamplighter::default_priority::max_requests", "lamplighter::default_priority::max_retries",
	} {
		if !strings.Contains(clusters, limit+"::65536\n") {
			t.Errorf("%s is not 65536", limit)
		}
	}
}
