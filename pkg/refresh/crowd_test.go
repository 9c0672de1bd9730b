package refresh_test

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// crowd is users of one process who come back again and again.
type crowd struct {
	*rig
	rng *rand.Rand
	ids []session.ID

	asked, expired, refused atomic.Int64 // requests; those that met an expired token; those that got none
}

// crowded logs n users in within a minute.
func (r *rig) crowded(n int, life time.Duration) *crowd {
	c := &crowd{rig: r, rng: rand.New(rand.NewPCG(1, 2))}
	for i := range n {
		c.ids = append(c.ids, r.login(life).ID)
		if i%(n/60+1) == 0 {
			r.pass(time.Second)
		}
	}
	return c
}

// request is one of user i's: what a Check does with the session, without its
// wire form.
func (c *crowd) request(i int) {
	v, now := c.view(c.ids[i]), time.Now()
	if err := c.life.Use(c.t.Context(), v, now); err != nil {
		c.t.Errorf("user %d is logged out: %v", i, err)
		return
	}
	c.asked.Add(1)
	alive := now.Before(v.Window.Exp)
	if !alive {
		c.expired.Add(1)
	}
	freshness := v.Window.Freshness(now)
	switch {
	case freshness == session.Fresh:
	case now.Before(v.NotBefore):
		if !alive {
			c.refused.Add(1)
		}
	case freshness == session.Due:
		c.ref.Start(v)
	default:
		if _, err := c.waitFor(v); err != nil && !alive {
			c.refused.Add(1)
		}
	}
}

// come lets users come at random for d, each about once in every.
func (c *crowd) come(d, every time.Duration) {
	const tick = 10 * time.Millisecond // a tenth of what a POST takes: requests come one by one, not in volleys
	owed := 0.0
	for end := time.Now().Add(d); time.Now().Before(end); c.pass(tick) {
		for owed += float64(len(c.ids)) * float64(tick) / float64(every); owed >= 1; owed-- {
			i := c.rng.IntN(len(c.ids))
			go c.request(i)
		}
	}
}

// work has users active for d without a request that looks at a token: what
// the sweep learns of them is what the life cycle writes by Touch.
func (c *crowd) work(d time.Duration) {
	for minute := range int(d / time.Minute) {
		for i := minute % 10; i < len(c.ids); i += 10 {
			if err := c.life.Use(c.t.Context(), c.view(c.ids[i]), time.Now()); err != nil {
				c.t.Fatal(err)
			}
		}
		c.pass(time.Minute)
	}
}

// comeOnce has each user come once, spread over d.
func (c *crowd) comeOnce(d time.Duration) {
	for i := range c.ids {
		go c.request(i)
		if i%(len(c.ids)/int(d/time.Second)+1) == 0 {
			c.pass(time.Second)
		}
	}
	c.pass(time.Minute)
}

// since counts the POSTs from then on.
func since(posts []post, then time.Time) (n int) {
	for _, p := range posts {
		if !p.at.Before(then) {
			n++
		}
	}
	return n
}
