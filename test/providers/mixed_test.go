//go:build providers

package providers

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// wander is what one user does until the end: requests at random times, some
// from several tabs at once.
func (c *crowd) wander(u *user, end time.Time) {
	seed := fnv.New64()
	_, _ = seed.Write([]byte(u.name))
	random := rand.New(rand.NewPCG(seed.Sum64(), 1))
	for time.Now().Before(end) {
		tabs := 1
		if random.IntN(4) == 0 {
			tabs = 2 + random.IntN(7)
		}
		began := time.Now()
		tokens, err := u.browser.Flood(tabs)
		if err != nil {
			c.t.Errorf("%s, mixed traffic: %v", u.name, err)
			return
		}
		// A token may be served until shortly before it expires: asked about later,
		// it proves nothing.
		if err := c.alive(tokens...); err != nil && (!errors.Is(err, errRefused) || time.Since(began) < time.Second) {
			c.t.Errorf("%s, mixed traffic: %v", u.name, err)
			return
		}
		time.Sleep(time.Duration(random.Int64N(int64(2500 * time.Millisecond)))) // paces the requests
	}
}

// withinTokenLife holds each user's refreshes against what the life of a token
// allows: swept no earlier than half-way through it, and needed once a life.
func (c *crowd) withinTokenLife(before map[string]int, took time.Duration) {
	c.t.Helper()
	least, most := int(took/AccessTokenLife)-1, int(took/(AccessTokenLife/2))+2
	total := 0
	for name, n := range c.refreshes() {
		n -= before[name]
		total += n
		if n < least || n > most {
			c.t.Errorf("%s: %d refreshes in %v of mixed traffic, want %d to %d", name, n, took.Round(time.Second), least, most)
		}
	}
	c.t.Logf("mixed traffic: %d refreshes in %v, %d to %d a user allowed", total, took.Round(time.Second), least, most)
}
