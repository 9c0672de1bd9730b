//go:build replicas

package replicas

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	people    = 1000
	clients   = 100              // at each replica
	tokenLife = 12 * time.Second // of access tokens
	forALong  = time.Minute
)

// A thousand sessions at three replicas, with a provider that revokes whatever
// comes back: each refresh token is used once, and nobody is logged out or waits.
func TestACrowdOnThreeReplicas(t *testing.T) {
	all := start(t, 3, stack.Options{AccessTokenLife: tokenLife, Plain: true})
	c := gather(t, all, people)
	ctx, cancel := context.WithTimeout(t.Context(), forALong)
	defer cancel()
	c.traffic(ctx, clients, time.Second)
	c.told()
	l := all[0].OP.Ledger()
	refreshes := l.ReceivedBy["refresh_token"]
	t.Logf("answers: %v; refreshes: %v", c.count, refreshes)
	if len(c.count) != 1 || c.count[http.StatusOK] == 0 {
		t.Errorf("answers other than 200: %v", c.count)
	}
	if !eachOnce(l) || l.Reuse != 0 || l.Logins != people || l.ActiveFamilies != people {
		t.Errorf("refreshes %v, %d generations consumed, %d came back, %d logins, %d families live", refreshes, sum(l.Consumed), l.Reuse, l.Logins, l.ActiveFamilies)
	}
	if least := people * int(forALong/tokenLife-1); refreshes["200"] < least {
		t.Errorf("%d refreshes, fewer than the %d that kept everybody signed in", refreshes["200"], least)
	}
}
