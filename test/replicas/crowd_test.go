//go:build replicas

package replicas

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

// heardWithin is how long a replica may serve what another has replaced.
const heardWithin = time.Second

// crowd is many users, whose requests land on any replica.
type crowd struct {
	t         *testing.T
	all       []*stack.Stack
	users     []*user
	transport http.RoundTripper

	mu    sync.Mutex
	count map[int]int    // answers by status
	wrong map[string]int // what must not be, how often
}

// user is somebody with one session.
type user struct {
	b      *stack.Browser
	name   string // of the session, as operators have it
	family string // of its tokens

	mu      sync.Mutex
	newest  int       // number of the newest access token that was served
	since   time.Time // when it was, first
	expires time.Time
	out     time.Time // when somebody was told 401, first
}

// gather logs n users in.
func gather(t *testing.T, all []*stack.Stack, n int) *crowd {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1000
	t.Cleanup(transport.CloseIdleConnections)
	c := &crowd{t: t, all: all, transport: transport, count: map[int]int{}, wrong: map[string]int{}}
	c.users = make([]*user, n)
	c.each(func(i int) { c.users[i] = c.login(fmt.Sprint("user", i), stack.NewBrowser(t, all[0].URL, transport)) })
	if c.told(); t.Failed() {
		t.FailNow()
	}
	return c
}

// each calls f for every user, some at a time.
func (c *crowd) each(f func(i int)) {
	const side = 20
	var going sync.WaitGroup
	for first := range side {
		going.Go(func() {
			for i := first; i < len(c.users); i += side {
				f(i)
			}
		})
	}
	going.Wait()
}

func (c *crowd) login(name string, b *stack.Browser) *user {
	a, err := b.TryLogin("/", name)
	if err != nil {
		c.fault("a login failed: %v", err)
		return nil
	}
	token, err := a.AccessToken()
	seen, ok := c.all[0].OP.Access(token)
	if err != nil || !ok {
		c.fault("a login ends without a token: %v, %v", a, err)
		return nil
	}
	handle, err := session.ParseHandle(b.Cookie(sessionCookie))
	if err != nil {
		c.fault("a login ends without a session: %v", err)
		return nil
	}
	return &user{b: b, name: handle.ID().String(), family: seen.Family, newest: 1, since: time.Now(), expires: seen.Expires}
}

func (c *crowd) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong[fmt.Sprintf(format, args...)]++
}

// told reports what must not be.
func (c *crowd) told() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, times := range c.wrong {
		c.t.Errorf("%d times: %s", times, what)
	}
	clear(c.wrong)
}

// traffic is that of so many clients at each replica, until ctx ends. Each asks
// for one user after the other, every think in the mean.
func (c *crowd) traffic(ctx context.Context, clients int, think time.Duration) {
	var going sync.WaitGroup
	defer going.Wait()
	for i, at := range c.all {
		for n := range clients {
			going.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(n)))
				for pause.For(ctx, time.Duration(r.ExpFloat64()*float64(think))) {
					c.ask(c.users[r.IntN(len(c.users))], at)
				}
			})
		}
	}
}

// ask makes one request of u at a replica and returns its status: what was served
// is a token of u's login that lives, and is no older than what others have had
// for heardWithin.
func (c *crowd) ask(u *user, at *stack.Stack) int {
	least, began := u.least(), time.Now()
	a, err := try(u.b, at, "/")
	if err != nil {
		c.fault("a request failed: %v", err)
		return 0
	}
	c.answered(a.Status)
	switch {
	case a.Status == http.StatusOK:
		c.served(u, a, least, began)
	case len(a.Header.Values("Set-Cookie")) > 0:
		c.fault("%d sets a cookie", a.Status)
	case a.Status == http.StatusUnauthorized:
		u.mu.Lock()
		if u.out.IsZero() {
			u.out = time.Now()
		}
		u.mu.Unlock()
	}
	return a.Status
}

func (c *crowd) answered(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[status]++
}

func (c *crowd) served(u *user, a stack.Answer, least int, began time.Time) {
	token, err := a.AccessToken()
	got, known := c.all[0].OP.Access(token)
	switch {
	case err != nil || !known:
		c.fault("served, but with no token of the provider: %v", err)
	case got.Family != u.family:
		c.fault("somebody was served another's token")
	case !began.Before(got.Expires):
		c.fault("a token was served after its end")
	case got.Number < least:
		c.fault("a token was served that had been replaced for %v", heardWithin)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.out.IsZero() && began.Sub(u.out) > heardWithin {
		c.fault("a session that was over was served")
	}
	if got.Number > u.newest {
		u.newest, u.since, u.expires = got.Number, time.Now(), got.Expires
	}
}

// least is the oldest token that may be served to a request that begins now.
func (u *user) least() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.since) < heardWithin {
		return u.newest - 1
	}
	return u.newest
}

func (u *user) isOut() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.out.IsZero()
}
