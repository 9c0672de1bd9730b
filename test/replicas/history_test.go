//go:build replicas

package replicas

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	histories   = 200
	historyLong = 40 * time.Second
	faultEvery  = 2 * time.Second
)

// annals are the histories under way.
type annals struct {
	began time.Time

	mu sync.Mutex
	of map[string][]porcupine.Operation // by family
}

func (a *annals) now() int64 { return int64(time.Since(a.began)) }

func (a *annals) note(family string, o ...porcupine.Operation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[family] = append(a.of[family], o...)
}

// event notes what the provider sees.
func (a *annals) event(e op.Event) {
	now := a.now()
	switch e.Kind {
	case op.KindRefresh:
		a.note(e.Family, during(step{what: spends, number: e.Generation}, now, now))
	case op.KindReuse:
		a.note(e.Family, during(step{what: spent, number: e.Generation}, now, now))
		for r := range replicasIn { // it is over, whenever they come to know
			a.note(e.Family, during(step{what: hears, replica: r}, now, never))
		}
	}
}

// Two hundred sessions at three replicas, of which one is killed or stopped, or
// loses its connections to Redis, every other second: with a bound of a second for
// what was logged out elsewhere, each history is linearizable.
func TestHistories(t *testing.T) {
	redis := redistest.Start(t)
	books := &annals{began: time.Now(), of: map[string][]porcupine.Operation{}}
	all := over(t, redis, replicasIn, stack.Options{
		AccessTokenLife: 6 * time.Second, Plain: true, Provider: func(o *op.Options) { o.Log = books.event },
	})
	c := gather(t, all, histories)
	if err := all[0].OP.SetFault(op.Fault{GrantType: "refresh_token", DelayMax: op.Duration(100 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), historyLong)
	defer cancel()
	var going sync.WaitGroup
	for i, u := range c.users {
		handle := u.b.Cookie(sessionCookie)
		for r := range all {
			going.Go(func() { c.asks(ctx, books, u, handle, r) })
		}
		if i%2 == 0 {
			going.Go(func() { c.leaves(ctx, books, u, handle, i%replicasIn) })
		}
	}
	c.strike(ctx, redis)
	going.Wait()
	c.told()
	l := all[0].OP.Ledger()
	t.Logf("answers %v, refreshes %v, %d answers lost", c.count, l.ReceivedBy["refresh_token"], l.ConsumedTwice)
	if c.count[http.StatusOK] == 0 || c.count[http.StatusUnauthorized] == 0 || l.ReceivedBy["refresh_token"]["200"] < histories || l.Logins != histories {
		t.Error("there was no traffic to speak of")
	}
	for family, history := range books.of {
		if err := check(history); err != nil {
			t.Errorf("%s: %v", family, err)
		}
	}
}

// send makes one request with a session's cookie, whatever a browser would still have.
func (c *crowd) send(ctx context.Context, method string, r int, path, handle string) (stack.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.all[r].Entry()+path, nil)
	if err != nil {
		return stack.Answer{}, err
	}
	req.Header.Set("Cookie", sessionCookie+"="+handle)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Origin", c.all[0].URL)
	return (&stack.Browser{Client: &http.Client{Transport: c.transport}}).DoOnce(req)
}

// asks notes what one replica answers to u, until ctx ends.
func (c *crowd) asks(ctx context.Context, books *annals, u *user, handle string, r int) {
	for pause.For(ctx, time.Duration(rand.ExpFloat64()*float64(1500*time.Millisecond))) {
		call := books.now()
		a, err := c.send(context.WithoutCancel(ctx), http.MethodGet, r, "/", handle)
		if err != nil {
			c.fault("a request failed: %v", err)
			continue
		}
		c.answered(a.Status)
		switch a.Status {
		case http.StatusOK:
			token, _ := a.AccessToken()
			got, known := c.all[0].OP.Access(token)
			if !known || got.Family != u.family {
				c.fault("served with a token of %q", got.Family)
				continue
			}
			books.note(u.family, during(step{allowed, r, got.Number}, call, books.now()))
		case http.StatusUnauthorized:
			books.note(u.family, during(step{what: denied, replica: r}, call, books.now()))
		}
	}
}

// leaves logs u out at a replica, at some time. One that fails may have had its
// effect, now or later.
func (c *crowd) leaves(ctx context.Context, books *annals, u *user, handle string, at int) {
	if !pause.For(ctx, historyLong/4+rand.N(historyLong/2)) {
		return
	}
	call := books.now()
	a, err := c.send(context.WithoutCancel(ctx), http.MethodPost, at, "/auth/logout", handle)
	ends := books.now()
	for r := range replicasIn {
		by := ends
		switch {
		case err != nil || a.Status != http.StatusSeeOther:
			by = never
		case r != at:
			by += int64(heardWithin)
		}
		books.note(u.family, during(step{what: hears, replica: r}, call, by))
	}
	if err != nil || a.Status != http.StatusSeeOther && a.Status != http.StatusServiceUnavailable {
		c.fault("a logout: %v, %v", a, err)
	}
}

// strike does something to a replica or to what connects them, again and again.
func (c *crowd) strike(ctx context.Context, redis *redistest.Server) {
	for n := 0; pause.For(ctx, faultEvery); n++ {
		victim := c.all[rand.N(len(c.all))].Lamplighter
		switch n % 4 {
		case 0:
			victim.Kill()
			victim.Start()
		case 1:
			redis.CLI(c.t, "CLIENT", "KILL", "TYPE", "pubsub")
		case 2:
			redis.CLI(c.t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		case 3:
			victim.Signal(syscall.SIGSTOP)
			time.Sleep(heardWithin / 4)
			victim.Signal(syscall.SIGCONT)
		}
	}
}
