//go:build replicas

package replicas

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// commands is how often the server itself has seen each command, from scripts too.
func commands(t *testing.T, s *redistest.Server) map[string]int {
	t.Helper()
	all := map[string]int{}
	for line := range strings.Lines(s.CLI(t, "INFO", "commandstats")) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(calls)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[name] = n
	}
	return all
}

// cost is what Redis was asked.
type cost struct{ reads, scripts, told int }

func look(t *testing.T, s *redistest.Server) cost {
	t.Helper()
	all := commands(t, s)
	return cost{all["hgetall"], all["evalsha"], all["publish"]}
}

// since is what has come since before. A replica says once a second that it is
// there, in one script with one message, which is left out here: changes is how
// many messages there were of other things.
func (n cost) since(before cost, changes int) cost {
	d := cost{n.reads - before.reads, n.scripts - before.scripts, n.told - before.told}
	d.scripts -= d.told - changes
	d.told = changes
	return d
}

// What Redis is asked: nothing for a session in the cache, one HGETALL for one that
// is not, two scripts for a refresh: the intent and the new tokens.
func TestWhatRedisIsAsked(t *testing.T) {
	t.Parallel()
	const people = 30
	redis := redistest.Start(t)
	// Nothing is due, and nothing in the cache too old, however long this machine takes.
	all := over(t, redis, 1, stack.Options{AccessTokenLife: time.Hour, Plain: true, Config: "sweep: {enabled: false}\ncache: {ttl: 1h}"})
	c := gather(t, all, people+1)
	first, others := c.users[0], c.users[1:]
	everybody := func() {
		for _, u := range others {
			if got := c.ask(u, all[0]); got != http.StatusOK {
				t.Errorf("answered %d", got)
			}
		}
	}
	remembers := func() { // from when on it hears what others change
		c.ask(first, all[0])
		eventually(t, "a session is served from memory", func() bool {
			before := look(t, redis)
			c.ask(first, all[0])
			return look(t, redis).reads == before.reads
		})
	}
	remembers()
	everybody()

	before := look(t, redis)
	for range 20 {
		everybody()
	}
	if got := look(t, redis).since(before, 0); got != (cost{}) {
		t.Errorf("%d Checks of cached sessions: %+v", 20*people, got)
	}

	if err := all[0].Lamplighter.Terminate(); err != nil {
		t.Fatal(err)
	}
	all[0].Lamplighter.Start()
	remembers()
	before = look(t, redis)
	everybody()
	if got := look(t, redis).since(before, 0); got != (cost{reads: people}) {
		t.Errorf("%d Checks of sessions that are not cached: %+v", people, got)
	}

	all[0].OP.SetAccessTokenLife(10 * time.Second)
	late := gather(t, all, people)
	others = late.users
	all[0].OP.SetAccessTokenLife(time.Hour)
	for _, u := range others {
		pause.For(t.Context(), time.Until(u.expires)+100*time.Millisecond)
	}
	before = look(t, redis)
	everybody()
	// Scripts read with HGETALL too: the intent before and after, the commit once.
	if got := look(t, redis).since(before, people); got != (cost{reads: 3 * people, scripts: 2 * people, told: people}) {
		t.Errorf("%d refreshes: %+v", people, got)
	}
	c.told()
	late.told()
}
