//go:build replicas

package replicas

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// A new sealing key comes to three replicas under load, one process after the other,
// in the two steps of a rotation: first it only opens, then it seals. Nobody is
// logged out, though for a while each replica reads what others seal. Afterwards all
// sessions of one person are found, sealed under the old key or the new one.
func TestKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	all := start(t, 3, stack.Options{AccessTokenLife: time.Hour, Plain: true})
	var person []*stack.Browser
	subject := ""
	login := func() {
		b := all[0].Browser(t)
		subject = b.Login("/", "somebody").Echo(t).Headers["x-user-id"][0]
		person = append(person, b)
	}
	login() // and nobody seals this session again
	all[0].OP.SetAccessTokenLife(tokenLife)
	c := gather(t, all, 100)
	old, err := os.ReadFile(all[0].File("keys"))
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	fresh := "k2:" + base64.StdEncoding.EncodeToString(secret) + "\n"
	ctx, stop := context.WithCancel(t.Context())
	var going sync.WaitGroup
	going.Go(func() { c.traffic(ctx, 10, 200*time.Millisecond) })
	roll := func(keys string) {
		before := c.refreshes()
		for _, r := range all {
			if err := os.WriteFile(r.File("keys"), []byte(keys), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := r.Lamplighter.Terminate(); err != nil {
				t.Errorf("stop: %v", err)
			}
			r.Lamplighter.Start()
		}
		eventually(t, "everybody is refreshed under these keys", func() bool { return c.refreshes() >= before+2*len(c.users) })
	}
	roll(string(old) + fresh)
	roll(fresh + string(old))
	stop()
	going.Wait()
	login()
	if said := sessions(t, all[1], "revoke", "--user", subject); said != "sessions ended: 2\n" {
		t.Errorf("revoke says %q", said)
	}
	for _, b := range person {
		eventually(t, "the person is signed out", func() bool { return at(t, b, all[2], "/").Status == http.StatusUnauthorized })
	}
	for i, u := range c.users {
		if got := c.ask(u, all[i%len(all)]); got != http.StatusOK {
			t.Errorf("%s is answered %d", u.family, got)
		}
	}
	c.told()
	l := all[0].OP.Ledger()
	if c.count[http.StatusUnauthorized] > 0 || l.Reuse != 0 || l.Logins != len(c.users)+len(person) {
		t.Errorf("answers %v, %d came back, %d logins", c.count, l.Reuse, l.Logins)
	}
	for _, r := range all {
		if strings.Contains(r.Lamplighter.Log(), "session record cannot be read") {
			t.Error("a replica cannot read what another has sealed")
		}
	}
}

// refreshes is how many the provider has accepted.
func (c *crowd) refreshes() int { return c.all[0].OP.Tally().Accepted }
