//go:build replicas

package replicas

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	kills     = 60
	killEvery = time.Second
	// answerTakes so long, that each kill meets somebody's.
	answerTakes = 30 * time.Millisecond
	// countedAfter is how long after an end is durable it may be counted.
	countedAfter = 200 * time.Millisecond
	// settled is what a session needs whose owner was killed: its lease, and the
	// replays that decide.
	settled = 90 * time.Second
)

// killed is one kill, from the last look at the counters on: what ended meanwhile
// may be counted nowhere.
type killed struct{ looked, dead time.Time }

// Every second one of three replicas is killed in the middle of what it does. Who
// is logged out is who had an answer of the provider on its way to the dead, from
// which a provider without a grace gives no way back.
func TestKilledReplicas(t *testing.T) {
	all := start(t, 3, stack.Options{AccessTokenLife: tokenLife, Plain: true})
	c := gather(t, all, people)
	if err := all[0].OP.SetFault(op.Fault{GrantType: "refresh_token", Delay: op.Duration(answerTakes)}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var going sync.WaitGroup
	going.Go(func() { c.traffic(ctx, clients, time.Second) })
	counted := map[session.Reason]int{}
	var killings []killed
	tick := time.NewTicker(killEvery)
	for i := range kills {
		<-tick.C
		victim := all[i%len(all)].Lamplighter
		looked := time.Now()
		count(victim, counted)
		victim.Kill()
		killings = append(killings, killed{looked, time.Now()})
		victim.Start()
	}
	tick.Stop()
	stop()
	going.Wait()
	c.settle()
	for _, r := range all {
		count(r.Lamplighter, counted)
	}
	c.told()
	t.Logf("answers: %v", c.count)
	c.onlyLostAnswers(counted, killings)
}

// count adds what a process has counted of sessions ended.
func count(l *stack.Lamplighter, to map[session.Reason]int) {
	for _, why := range session.Reasons() {
		to[why] += int(l.Metric(`bff_sessions_ended_total{reason="` + string(why) + `"}`))
	}
}

// settle goes on with everybody until each is served with a token that was issued
// after the last kill, or is out.
func (c *crowd) settle() {
	c.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.t.Context(), settled)
	defer cancel()
	c.each(func(i int) {
		u := c.users[i]
		for before := u.newest; !u.isOut() && u.newest == before; c.ask(u, c.all[i%len(c.all)]) {
			if !pause.For(ctx, 50*time.Millisecond) {
				c.fault("a session was neither refreshed nor over after %v", settled)
				return
			}
		}
	})
	c.t.Logf("settled after %v", time.Since(began).Round(time.Second))
}

// onlyLostAnswers holds the users who are out against the provider's books, the
// tombstones and the counters.
func (c *crowd) onlyLostAnswers(counted map[session.Reason]int, killings []killed) {
	c.t.Helper()
	l := c.all[0].OP.Ledger()
	spent := map[string]int{} // by family, the generation that came back
	for _, r := range l.Received {
		if !r.Spent {
			continue
		}
		if g, again := spent[r.Family]; again && g != r.Generation {
			c.t.Errorf("two generations of %s came back: %d and %d", r.Family, g, r.Generation)
		}
		spent[r.Family] = r.Generation
	}
	out, uncounted := 0, 0
	for _, u := range c.users {
		g, lost := spent[u.family]
		if lost != u.isOut() {
			c.t.Errorf("the session of %s is over: %v; an answer was lost: %v", u.family, u.isOut(), lost)
		}
		if !u.isOut() {
			continue
		}
		out++
		if u.newest > g {
			c.t.Errorf("generation %d of %s came back, though its successor's access token %d had been served", g, u.family, u.newest)
		}
		s, err := admin.NewClient(c.all[0].Lamplighter.Admin).Session(c.t.Context(), u.name)
		if err != nil || s.Ended == nil || s.Reason != session.ReasonLostAnswer {
			c.t.Errorf("operators are told of %s: %+v, %v", u.family, s.Ended, err)
			continue
		}
		for _, k := range killings {
			if s.EndedAt.After(k.looked.Add(-countedAfter)) && !s.EndedAt.After(k.dead) {
				uncounted++
			}
		}
	}
	c.t.Logf("%d kills, %d answers lost, %d sessions ended of that, at most %d of them while nobody counted", len(killings), l.ConsumedTwice, out, uncounted)
	lost := counted[session.ReasonLostAnswer]
	delete(counted, session.ReasonLostAnswer)
	for why, n := range counted {
		if n > 0 {
			c.t.Errorf("%d sessions are counted as ended for %s", n, why)
		}
	}
	if lost > out || lost < out-uncounted || l.ConsumedTwice != out || l.Logins != len(c.users) || l.Forgiven != 0 {
		c.t.Errorf("%d are out; counted %d, by the provider %d (%d logins, %d forgiven)", out, lost, l.ConsumedTwice, l.Logins, l.Forgiven)
	}
	if out == 0 || c.count[http.StatusOK] == 0 {
		c.t.Error("no kill met an answer on its way")
	}
}
