//go:build providers

package providers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
)

// tries is how often a flood may miss its window: on a busy machine requests
// come late, and what then happens is not what is tested.
const tries = 8

// flooded is what a flood of requests met.
type flooded struct {
	window       window // of the token before
	before       string // that token
	tokens       []string
	began, ended time.Time
	refreshes    int // in the provider's books, before
	after        *admin.Live
}

// its tells whether the token after the flood is one that the flood brought about,
// and not a request before it that came late.
func (f flooded) its() bool { return f.after.AccessToken.IssuedAt.After(f.began) }

// flood sends a user's requests when the token has reached a point in its life.
func (c *crowd) flood(u *user, at func(window) time.Time) (f flooded, ok bool) {
	live, err := c.fresh(u)
	if err != nil {
		c.t.Error(err)
		return f, false
	}
	current, err := u.browser.Flood(1)
	if err != nil {
		c.t.Errorf("%s: a request with a fresh token: %v", u.name, err)
		return f, false
	}
	f.window, f.before = windowOf(live), current[0]
	time.Sleep(time.Until(at(f.window).Add(300 * time.Millisecond))) // the token's own time
	f.began, f.refreshes = time.Now(), c.refreshes()[u.name]
	f.tokens, err = u.browser.Flood(parallel)
	f.ended = time.Now()
	if err != nil {
		c.t.Errorf("%s: %v", u.name, err)
		return f, false
	}
	if f.after, err = c.settled(u, live.Revision); err != nil {
		c.t.Error(err)
	}
	return f, err == nil
}

// fresh waits until a user has a token with half of its life ahead.
func (c *crowd) fresh(u *user) (*admin.Live, error) {
	live, err := c.look(u)
	if err != nil {
		return nil, err
	}
	w := windowOf(live)
	if time.Since(w.issued) < AccessTokenLife/2 {
		return live, nil
	}
	time.Sleep(time.Until(w.expired.Add(100 * time.Millisecond))) // the token's own time
	tokens, err := u.browser.Flood(1)
	if err != nil {
		return nil, fmt.Errorf("%s: the first request past expiry: %w", u.name, err)
	}
	if live, err = c.settled(u, live.Revision); err != nil {
		return nil, err
	}
	if err = c.alive(tokens...); err != nil {
		return nil, fmt.Errorf("%s: %w", u.name, err)
	}
	return live, nil
}

// renew gives everybody a new token, one user after the other: each has its
// window to itself and a few others, or two processors could not answer all
// requests within one.
func (c *crowd) renew(u *user) {
	time.Sleep(time.Until(c.renewAt.Add(time.Duration(u.number) * AccessTokenLife / Users))) // the token's own time
	if _, err := c.fresh(u); err != nil {
		c.t.Error(err)
	}
}

// once holds the provider's books against a flood: one more refresh.
func (c *crowd) once(u *user, f flooded) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c.refreshes()[u.name] > f.refreshes { // its log comes through a pipe
			break
		}
	}
	if n := c.refreshes()[u.name] - f.refreshes; n != 1 || f.after.Failures != 0 {
		c.t.Errorf("%s: the provider has refreshed %d times for %d parallel requests, want once; failures: %d", u.name, n, parallel, f.after.Failures)
	}
}

// atMostOnce is what holds for a flood outside of its window too: however it
// lay, one new token outlasts it.
func (c *crowd) atMostOnce(u *user, f flooded) {
	if n := c.refreshes()[u.name] - f.refreshes; n > 1 && time.Since(f.began) < AccessTokenLife/2 {
		c.t.Errorf("%s: the provider has refreshed %d times within %v", u.name, n, time.Since(f.began))
	}
}

// due floods a Due session: all are answered at once, with a token that lives,
// and one of them starts the one refresh.
func (c *crowd) due(u *user) {
	for range tries {
		f, ok := c.flood(u, func(w window) time.Time { return w.due })
		if !ok {
			return
		}
		old := 0
		for _, token := range f.tokens {
			if token == f.before {
				old++
			}
		}
		err := c.alive(f.tokens...)
		asked := time.Now()
		switch late := f.ended.After(f.window.expired); {
		case late, !f.its(), old < parallel/2, errors.Is(err, errRefused) && asked.After(f.window.expired):
			c.t.Logf("%s missed the Due window: %v of it used, %d requests before the refresh", u.name, f.ended.Sub(f.window.due), old)
			c.atMostOnce(u, f)
			continue
		case err != nil:
			c.t.Errorf("%s, Due: %v", u.name, err)
		}
		c.once(u, f)
		return
	}
	c.t.Errorf("%s: the flood missed the Due window %d times", u.name, tries)
}

// expired floods an Expired session: all wait for the one refresh, and are
// answered with its token.
func (c *crowd) expired(u *user) {
	for range tries {
		f, ok := c.flood(u, func(w window) time.Time { return w.expired })
		if !ok {
			return
		}
		if !f.its() || f.ended.After(windowOf(f.after).due) {
			c.t.Logf("%s missed the Expired window: the flood took %v", u.name, f.ended.Sub(f.began))
			c.atMostOnce(u, f)
			continue
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(f.tokens))); len(distinct) != 1 || distinct[0] == f.before {
			c.t.Errorf("%s, Expired: %d different tokens, want one, the new one", u.name, len(distinct))
		}
		if err := c.alive(f.tokens...); err != nil {
			c.t.Errorf("%s, Expired: %v", u.name, err)
		}
		c.once(u, f)
		return
	}
	c.t.Errorf("%s: the flood took too long %d times", u.name, tries)
}
