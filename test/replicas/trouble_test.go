//go:build replicas

package replicas

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// away are the ways in which a server is not there, and comes back with what it had.
var away = map[string]func(t *testing.T, s *redistest.Server, l *redistest.Line) (leave, comeBack func()){
	"partition": func(_ *testing.T, _ *redistest.Server, l *redistest.Line) (func(), func()) { return l.Cut, l.Heal },
	"stopped": func(_ *testing.T, s *redistest.Server, _ *redistest.Line) (func(), func()) {
		return func() { s.Signal(syscall.SIGSTOP) }, func() { s.Signal(syscall.SIGCONT) }
	},
	"killed": func(t *testing.T, s *redistest.Server, _ *redistest.Line) (func(), func()) {
		return s.Kill, func() { s.Restart(t) }
	},
}

// troubled waits until every replica tells of a kind of trouble, or of none.
func troubled(t *testing.T, all []*stack.Stack, kind string, want bool) {
	t.Helper()
	for i, s := range all {
		eventually(t, fmt.Sprintf("replica %d tells of %s: %t", i, kind, want), func() bool {
			code, body, err := s.Lamplighter.Get("/readyz")
			if err != nil || code != http.StatusOK {
				t.Fatalf("/readyz: %d %v", code, err)
			}
			on := s.Lamplighter.Metric(fmt.Sprintf("bff_store_trouble{kind=%q}", kind)) == 1
			return on == want && (strings.Contains(body, "store trouble") || !want)
		})
	}
}

// toldOnce: a trouble is some lines in the log, and not one a request or a second.
func toldOnce(t *testing.T, all []*stack.Stack, kind string) {
	t.Helper()
	for i, s := range all {
		began, ended, warnings := 0, 0, 0
		for line := range strings.Lines(s.Lamplighter.Log()) {
			mine := strings.Contains(line, fmt.Sprintf(`"kind":%q`, kind))
			switch {
			case mine && strings.Contains(line, `"level":"WARN"`):
				began++
			case mine && strings.Contains(line, "store trouble is over"):
				ended++
			}
			if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
				warnings++
			}
		}
		if began != 1 || ended != 1 || warnings > 10 {
			t.Errorf("replica %d has told %d times that %s began, %d times that it ended, in %d warnings", i, began, kind, ended, warnings)
		}
	}
}

// Ten seconds without the server, which has kept what it had: users are served from
// memory, or asked to come back, and nobody is logged out.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, way := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--appendonly", "yes")
			line := redistest.NewLine(t, server.Addr)
			leave, comeBack := way(t, server, line)
			all := startOver(t, 2, fmt.Sprintf("addresses: [%q]", line.Addr), stack.Options{AccessTokenLife: tokenLife})
			v := visit(t, all, 20)
			v.allRefreshed()

			v.enter("away")
			leave()
			over := time.After(10 * time.Second)
			troubled(t, all, "unreachable", true)
			<-over
			v.enter("back")
			comeBack()
			v.allServed()
			v.allRefreshed()
			heals(t, all)
			troubled(t, all, "unreachable", false)
			v.verdict()
			v.kept(2) // the sleeper's and the leaver's
			toldOnce(t, all, "unreachable")
			if v.counted("away", http.StatusOK) == 0 {
				t.Error("nobody was served from memory")
			}
		})
	}
}

// What is remembered is served for max_stale, and then no more.
func TestNothingRememberedIsServedForLong(t *testing.T) {
	t.Parallel()
	for name, way := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const maxStale = 3 * time.Second
			server := redistest.Start(t, "--appendonly", "yes")
			line := redistest.NewLine(t, server.Addr)
			leave, comeBack := way(t, server, line)
			all := startOver(t, 2, fmt.Sprintf("addresses: [%q], max_stale: %v", line.Addr, maxStale), stack.Options{AccessTokenLife: 5 * time.Minute})
			v := visit(t, all, 10)
			v.allServed()

			v.enter("away")
			leave()
			left := time.Now()
			time.Sleep(2 * maxStale) // the trouble's own time
			v.enter("back")
			if last := v.lastServed().Sub(left); last > maxStale || last < 0 {
				t.Errorf("the last request that was served began %v after the server was gone, want at most %v, and some", last, maxStale)
			}
			if v.counted("away", http.StatusServiceUnavailable) == 0 {
				t.Error("nobody was asked to come back")
			}
			comeBack()
			v.allServed()
			v.verdict()
			v.kept(0)
		})
	}
}

// A server that comes back empty: everybody logs in once more, and that is all.
func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := startOver(t, 2, fmt.Sprintf("addresses: [%q]", server.Addr), stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 20)
	v.allRefreshed()

	v.mayBeGone()
	v.enter("empty")
	server.Kill()
	killed := time.Now()
	server.Restart(t)
	for _, one := range v.each {
		for _, s := range all {
			eventually(t, one.name+" is not served", func() bool { return one.ask(t.Context(), s, 9) == http.StatusUnauthorized })
		}
	}
	v.leave()
	if last := v.lastServed().Sub(killed); last > 10*time.Second {
		t.Errorf("a session was served %v after it was lost", last)
	}
	for _, one := range v.each {
		old := one.b.Cookie(sessionCookie)
		if a := one.b.VisitOnce("/"); a.Status != http.StatusFound || !strings.HasPrefix(a.Location, all[0].Issuer) {
			t.Fatalf("a visit with an old cookie: %v", a)
		}
		one.b.Visit("/").Bearer(t) // the provider still knows who it is
		if one.b.Cookie(sessionCookie) == old {
			t.Error("a login without a new cookie")
		}
	}
	for _, one := range v.each {
		for _, s := range all {
			at(t, one.b, s, "/").Bearer(t)
		}
	}
	v.verdict()
	if l := v.op.Ledger(); l.Logins != 2*len(v.each) || l.Reuse != 0 {
		t.Errorf("%d logins of %d, %d requests with a spent token", l.Logins, 2*len(v.each), l.Reuse)
	}
	troubled(t, all, "unreachable", false)
	toldOnce(t, all, "unreachable")
}

// A server without memory for more: sessions are read, and served until their token
// expires; nobody logs in; what had begun is kept. All goes on when there is room.
func TestRedisIsFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := startOver(t, 2, fmt.Sprintf("addresses: [%q]", server.Addr), stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 20)
	v.allRefreshed()

	v.enter("full")
	server.CLI(t, "CONFIG", "SET", "maxmemory", "1")
	full := time.After(tokenLife + 3*time.Second) // longer than a token
	troubled(t, all, "unwritable", true)
	newcomer := all[0].Browser(t)
	if a, err := newcomer.TryLogin("/", "newcomer"); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a login: %v %v", a, err)
	}
	eventually(t, "it says why", func() bool {
		return strings.Contains(all[0].Lamplighter.Logged("login failed after the code exchange", "error"), "OOM")
	})
	<-full
	if v.counted("full", http.StatusServiceUnavailable) == 0 {
		t.Error("nobody was asked to come back, though no token could be refreshed")
	}
	v.enter("room")
	server.CLI(t, "CONFIG", "SET", "maxmemory", "0")
	v.allServed()
	v.allRefreshed()
	newcomer.Visit("/").Bearer(t)
	troubled(t, all, "unwritable", false)
	v.verdict()
	v.kept(2) // the newcomer's
	toldOnce(t, all, "unwritable")
}
