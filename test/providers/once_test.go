//go:build providers

package providers

import (
	"flag"
	"testing"
	"time"
)

// make soak-providers asks for more.
var mixedFor = flag.Duration("mixed", time.Minute, "how long the mixed traffic lasts")

const parallel = 200 // requests of one user at once

func TestOIDCProvider(t *testing.T) { exactlyOneRefresh(t, StartOIDCProvider) }

func TestKeycloak(t *testing.T) { exactlyOneRefresh(t, StartKeycloak) }

// Twenty users side by side, each with 200 requests in parallel, first while the
// token is Due, then when it has Expired: the provider's own books show one
// refresh a user and window. Then, with the sweep, mixed traffic, in which no
// refresh token is used twice either, and nobody is logged out.
func exactlyOneRefresh(t *testing.T, start starter) {
	c := newCrowd(t, start)
	c.together("200 requests on a Due session, then on an Expired one", func(u *user) {
		c.renew(u)
		c.due(u)
		c.expired(u)
	})
	c.balance()
	if t.Failed() {
		t.FailNow() // what follows would only repeat it
	}
	c.restartWithSweep()
	before, began := c.refreshes(), time.Now()
	c.together("mixed traffic", func(u *user) { c.wander(u, began.Add(*mixedFor)) })
	c.balance()
	c.withinTokenLife(before, time.Since(began))
}
