package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// Over Redis, a new process takes the place of the old while users ask, three times
// in a row: no request fails, whatever Envoy repeats or not. Each session is refreshed
// once at a time all the same.
func TestHandOver(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, port := range map[string]bool{"socket": false, "port": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := fmt.Sprintf("store: {redis: {addresses: [%q], prefix: %s}}", redis.Addr, name)
			o := stack.Options{AccessTokenLife: 10 * time.Second, Config: store, Mutate: withoutRetries}
			if port {
				o.Check = "127.0.0.1:" + stack.FreePort(t)
			}
			s := stack.Start(t, o)
			x := begin(t, s, 20)
			now := s.Lamplighter
			for range 3 {
				next := s.NewLamplighter(t, s.File("lamplighter.yaml"), nil)
				next.Args = []string{"--take-over"}
				next.Listening()
				if err := now.Terminate(); err != nil {
					t.Fatal(err)
				}
				now = next
				x.disturb(func() {})
			}
			x.verdict()
			if n := len(x.failed); n > 0 {
				t.Errorf("%d requests failed, the first: %v", n, x.failed[0])
			}
		})
	}
}

// Without being told to, a process takes nobody's place; with the embedded store it
// cannot.
func TestNobodysPlaceIsTakenByAccident(t *testing.T) {
	t.Parallel()
	for name, redis := range map[string]bool{"redis": true, "embedded": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, check := range []string{"", "127.0.0.1:" + stack.FreePort(t)} {
				o, says, args := stack.Options{Check: check}, "--take-over", []string(nil)
				if redis {
					o.Config = fmt.Sprintf("store: {redis: {addresses: [%q]}}", redistest.Start(t).Addr)
				} else {
					says, args = "the embedded store has one owner", []string{"--take-over"}
				}
				s := stack.Start(t, o)
				second := s.NewLamplighter(t, s.File("lamplighter.yaml"), nil)
				second.Args = args
				if code, out := second.Fails(); code != 1 || !strings.Contains(out, says) {
					t.Errorf("at %q: %d %s", check, code, out)
				}
				s.Browser(t).Login("/", "ada")
			}
		})
	}
}

// withoutRetries leaves Envoy without the retry policy that is shipped.
func withoutRetries(bootstrap map[string]any) error {
	service, err := envoytest.Lookup(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config",
		"http_filters", 0, "typed_config", "grpc_service")
	if err == nil {
		delete(service, "retry_policy")
	}
	return err
}
