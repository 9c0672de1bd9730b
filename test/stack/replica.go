package stack

import (
	"os"
	"strings"
	"testing"
)

// Replica starts another lamplighter of the same app, behind another Envoy: with
// the configuration, the keys and the provider of s, whose store has to be one
// that replicas share. Its URL is another, as that of a pod is; browsers send
// their cookies there too, since cookies know no ports.
func (s *Stack) Replica(t testing.TB) *Stack {
	t.Helper()
	r := *s
	r.Dir, r.server = dir(t), nil
	r.startEnvoy(t, "")
	keys, err := os.ReadFile(s.File("keys"))
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "keys", string(keys))
	r.Lamplighter = r.NewLamplighter(t, r.WriteConfig(t, r.opts.Config), r.opts.Env)
	r.Lamplighter.binary = binaryOf(r.opts)
	r.Lamplighter.Start()
	return &r
}

// Entry is where this replica's Envoy listens, as an origin.
func (s *Stack) Entry() string {
	_, port, _ := strings.Cut(s.Envoy.Addr(), ":")
	return "http://localhost:" + port
}
