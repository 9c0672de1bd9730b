//go:build soak

package soak

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

// crowd is what all users together have seen.
type crowd struct {
	t         *testing.T
	s         *stack.Stack
	spy       *stack.Spy
	transport http.RoundTripper
	slots     float64 // in use in the mean

	mu     sync.Mutex
	counts map[string]int
	wrong  map[string]int // what must not be, how often
	owner  map[string]string
	alive  map[string]bool // families whose user is logged in
	out    map[string]bool // families whose user has logged out
	lost   map[string]bool // families whose session was gone
	told   []told          // of sessions that live
	stale  []stale
	said   map[string]bool // bodies of what was not allowed
}

// told is a 401 for a session that lives.
type told struct {
	family   string
	from, to int // posts at the token endpoint until the request began, and until it was looked into
}

// stale is a token that was served after its end.
type stale struct {
	family string
	number int
}

func newCrowd(t *testing.T, s *stack.Stack, spy *stack.Spy) *crowd {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 4000
	t.Cleanup(transport.CloseIdleConnections)
	spy.Next = transport
	return &crowd{
		t: t, s: s, spy: spy, transport: transport,
		counts: map[string]int{}, wrong: map[string]int{}, owner: map[string]string{},
		alive: map[string]bool{}, out: map[string]bool{}, lost: map[string]bool{}, said: map[string]bool{},
	}
}

func (c *crowd) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// fault notes what must not be; a thousand of one kind are one line.
func (c *crowd) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if what := fmt.Sprintf(format, args...); c.wrong[what] > 0 || len(c.wrong) < 30 {
		c.wrong[what]++
	}
}

// heard keeps what a user was told in place of an answer of the app.
func (c *crowd) heard(a stack.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) < 10000 {
		c.said[a.Body] = true
	}
}

// begin enters a login. A family of tokens is one login's.
func (c *crowd) begin(family, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of, taken := c.owner[family]; taken {
		c.wrong[fmt.Sprintf("a login of %s got tokens of %s", user, of)]++
	}
	c.owner[family] = user
	c.alive[family] = true
}

func (c *crowd) loggedOut(family string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, family)
	c.out[family] = true
}

// deny notes a 401 for a session that lives, to a request of m.
func (c *crowd) deny(family string, m moment) {
	posts := c.s.OP.Tally().Posts
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, told{family, m.posts, posts})
}

func (c *crowd) lose(family string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, family)
	c.lost[family] = true
}
