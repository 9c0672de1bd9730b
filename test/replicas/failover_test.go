//go:build replicas

package replicas

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// overSentinels runs two replicas that find their server by Sentinels.
func overSentinels(t *testing.T, w *redistest.Watched, o stack.Options) []*stack.Stack {
	t.Helper()
	return startOver(t, 2, fmt.Sprintf("addresses: [%s], sentinel_master: %s", quoted(w.Addresses()), w.Name), o)
}

func quoted(all []string) string { return `"` + strings.Join(all, `", "`) + `"` }

// another waits until the Sentinels have made another server than old the primary.
func another(t *testing.T, w *redistest.Watched, old *redistest.Server) *redistest.Server {
	t.Helper()
	begun := time.Now()
	eventually(t, "there is another primary", func() bool { return w.Primary(t) != old })
	t.Logf("another primary after %v", time.Since(begun).Round(10*time.Millisecond))
	return w.Primary(t)
}

// sleeper is a browser that logs in and asks for nothing more.
func sleeper(t *testing.T, s *stack.Stack) (family string) {
	t.Helper()
	got, ok := s.OP.Access(s.Browser(t).Login("/", "sleeper").Bearer(t))
	if !ok {
		t.Fatal("the provider does not know the sleeper's token")
	}
	return got.Family
}

// heals: the sweep goes on, and the replicas hear of each other.
func heals(t *testing.T, all []*stack.Stack) {
	t.Helper()
	family := sleeper(t, all[0])
	eventually(t, "the sweep has refreshed who is asleep", func() bool { return all[0].OP.Ledger().Consumed[family] > 0 })
	logoutIsHeard(t, all, "leaver")
}

// The primary dies, or stops and comes back after another has taken its place.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := redistest.WatchedBySentinels(t)
			all := overSentinels(t, w, stack.Options{AccessTokenLife: tokenLife})
			v := visit(t, all, 20)
			v.allRefreshed()
			old := w.Primary(t)

			v.enter("failover")
			old.Signal(leave)
			another(t, w, old)
			v.allServed()
			v.enter("after")
			if leave == syscall.SIGSTOP {
				old.Signal(syscall.SIGCONT)
				eventually(t, "the old one follows", func() bool {
					role, err := old.TryCLI("ROLE") // whoever is demoted ends its connections
					return err == nil && strings.Contains(role, "slave")
				})
			}
			v.allRefreshed()
			heals(t, all)
			troubled(t, all, "unreachable", false)
			v.verdict()
			v.kept(2) // the sleeper's and the leaver's
			toldOnce(t, all, "unreachable")
		})
	}
}

// losing is a primary that dies after all browsers have had a new token that no
// replica of it has.
func losing(t *testing.T, life time.Duration, config string, forgotten bool) (*visitors, []*stack.Stack) {
	t.Helper()
	w := redistest.WatchedBySentinels(t)
	all := overSentinels(t, w, stack.Options{AccessTokenLife: life, Config: config})
	v := visit(t, all, 20)
	v.allRefreshed()
	old := w.Primary(t)
	for _, s := range w.Servers {
		if s != old {
			s.CLI(t, "CONFIG", "SET", "masteruser", "nobody")
			s.CLI(t, "CONFIG", "SET", "masterauth", "nothing")
		}
	}
	old.CLI(t, "CLIENT", "KILL", "TYPE", "replica")
	v.enter("without copies")
	troubled(t, all, "uncopied", true)
	v.allRefreshed()
	v.enter("failover")
	if forgotten {
		v.mayBeGone()
	}
	old.Kill()
	another(t, w, old)
	v.enter("after")
	return v, all
}

// What a failover loses is in the memory of a replica, which stores it again.
func TestFailoverLosesWhatIsRemembered(t *testing.T) {
	t.Parallel()
	v, all := losing(t, tokenLife, "", false)
	v.allServed()
	v.allRefreshed()
	v.verdict()
	v.kept(0)
	restored := 0.0
	for _, s := range all {
		restored += s.Lamplighter.Metric("bff_token_refresh_restored_total")
	}
	if restored == 0 {
		t.Error("nothing was lost")
	}
	t.Logf("%v times what was lost was stored again", restored)
}

// What a failover loses and nobody remembers is in doubt: nobody is served an older
// token, and it ends, since the provider takes no spent token: with a login.
func TestFailoverLosesWhatIsForgotten(t *testing.T) {
	t.Parallel()
	v, all := losing(t, 20*time.Second, "cache: {ttl: 1s}", true) // the older token lives yet
	begun := time.Now()
	for _, one := range v.each {
		for _, s := range all {
			eventually(t, one.name+" knows", func() bool { return one.ask(t.Context(), s, 9) == http.StatusUnauthorized })
		}
	}
	t.Logf("it ends after %v", time.Since(begun).Round(10*time.Millisecond))
	v.verdict()
	for _, one := range v.each {
		one.b.Visit("/").Bearer(t)
	}
	l := v.op.Ledger()
	if l.Logins != 2*len(v.each) || l.Reuse > len(v.each) {
		t.Errorf("%d logins of %d, %d requests with a spent token", l.Logins, 2*len(v.each), l.Reuse)
	}
}

// A primary of a Cluster dies, the one that the replicas' own key is on, and its
// replica takes its place.
func TestClusterPrimaryIsKilled(t *testing.T) {
	t.Parallel()
	servers := redistest.CopiedCluster(t, 3)
	addresses := make([]string, len(servers))
	for i, s := range servers {
		addresses[i] = s.Addr
	}
	all := startOver(t, 2, fmt.Sprintf("addresses: [%s]", quoted(addresses)), stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 20)
	v.allRefreshed()
	victim := hasReplicas(t, servers)
	if victim == nil {
		t.Fatal("no primary has the replicas' key")
	}

	v.enter("failover")
	victim.Kill()
	killed := time.Now()
	left := slices.DeleteFunc(slices.Clone(servers), func(s *redistest.Server) bool { return s == victim })
	eventually(t, "its replica has taken its place", func() bool { return hasReplicas(t, left) != nil })
	t.Logf("another primary after %v", time.Since(killed).Round(10*time.Millisecond))
	v.allServed()
	v.enter("after")
	v.allRefreshed()
	heals(t, all)
	troubled(t, all, "unreachable", false)
	v.verdict()
	v.kept(2)
	toldOnce(t, all, "unreachable")
}

// hasReplicas is the primary with the key of lamplighter's replicas.
func hasReplicas(t *testing.T, servers []*redistest.Server) *redistest.Server {
	t.Helper()
	for _, s := range servers {
		if strings.Contains(s.CLI(t, "ROLE"), "master") && strings.TrimSpace(s.CLI(t, "EXISTS", "lamplighter:default:replicas")) == "1" {
			return s
		}
	}
	return nil
}
