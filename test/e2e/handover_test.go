package e2e

import (
	"fmt"
	"net"
	"os"
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

// One that is to take over and cannot, or is stopped before it can, leaves all with the
// old one: it is not ready, or does not get all of its places.
func TestWhoCannotTakeOver(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := stack.Start(t, stack.Options{AccessTokenLife: 10 * time.Second, Config: fmt.Sprintf("store: {redis: {addresses: [%q]}}", redis.Addr), Mutate: withoutRetries})
	config := readFile(t, s.File("lamplighter.yaml"))
	taker := func(old, text string) *stack.Lamplighter {
		t.Helper()
		if !strings.Contains(config, old) {
			t.Fatalf("the config has no %s", old)
		}
		name := s.File("taker-" + stack.FreePort(t) + ".yaml")
		if err := os.WriteFile(name, []byte(strings.Replace(config, old, text, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		l := s.NewLamplighter(t, name, nil)
		l.Args = []string{"--take-over"}
		return l
	}
	x := begin(t, s, 10)
	strange, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer strange.Close()
	if code, out := taker(`admin: "127.0.0.1:0"`, fmt.Sprintf("admin: %q", strange.Addr())).Fails(); code != 1 || !strings.Contains(out, "another process has this port") {
		t.Errorf("a taken port: %d %s", code, out)
	}
	stuck := taker(s.Issuer, "http://127.0.0.1:"+stack.FreePort(t))
	stuck.Launch()
	stuck.Until("without its provider", func() bool { return strings.Contains(stuck.Log(), "provider cannot be discovered") })
	x.disturb(func() {})
	if err := stuck.Terminate(); err != nil {
		t.Errorf("one that waits is stopped: %v", err)
	}
	if strings.Contains(stuck.Log(), `"msg":"listening"`) {
		t.Error("one that cannot answer listens")
	}
	x.verdict()
	if n := len(x.failed); n > 0 {
		t.Errorf("%d requests failed, the first: %v", n, x.failed[0])
	}
	s.RestartEnvoy(t) // whose connection is a new one
	s.Browser(t).Login("/", "ada")
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
