//go:build replicas

package replicas

import (
	"net/http"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

// Somebody uses one replica and not the other, for longer than the other waits for
// a use: the session neither ends nor is left out by the sweep.
func TestIdleOnOneActiveOnAnother(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{
		"not ended":    "LAMPLIGHTER_SESSION_IDLE=30s",
		"not left out": "LAMPLIGHTER_SWEEP_ACTIVE_WITHIN=70s", // a use is in the store within a minute
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := start(t, 2, stack.Options{AccessTokenLife: tokenLife, Plain: true, Env: []string{env}})
			c := gather(t, all, 20) // in the shards of both
			used := all[1]
			for range 8 {
				if !pause.For(t.Context(), 20*time.Second) { // the sweep alone refreshes meanwhile
					return
				}
				for _, u := range c.users {
					if got := c.ask(u, used); got != http.StatusOK {
						t.Errorf("%s is answered %d", u.family, got)
					}
				}
			}
			for _, u := range c.users {
				s, err := admin.NewClient(all[0].Lamplighter.Admin).Session(t.Context(), u.name)
				if err != nil || s.Live == nil || len(s.History) == 0 {
					t.Errorf("the session of %s: %+v, %v", u.family, s, err)
				}
				for _, o := range s.History {
					if o.By != "sweep" {
						t.Errorf("%s had to be refreshed by a %s at %v", u.family, o.By, o.At)
					}
				}
				if got := c.ask(u, all[0]); got != http.StatusOK {
					t.Errorf("%s is answered %d by the other", u.family, got)
				}
			}
			c.told()
			if l := all[0].OP.Ledger(); l.Reuse != 0 || l.Logins != len(c.users) {
				t.Errorf("%d came back, %d logins", l.Reuse, l.Logins)
			}
		})
	}
}
