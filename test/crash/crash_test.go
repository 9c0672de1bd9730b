//go:build crash

package crash

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

var rounds = flag.Int("rounds", batch, "how many times the process is killed at each point, with each provider")

// batch is how many users log in before the rounds begin, each for one of them.
const batch = 40

// provider is one kind, with the profile for it.
type provider struct {
	name     string
	env      []string
	policy   op.Policy
	life     time.Duration // of access tokens
	patience time.Duration // with anything
	// forgives: a lost answer is asked for again soon, and given again.
	forgives bool
	// duringRounds: without the sweep and without requests nobody refreshes, so
	// that every doubt of a batch is resolved by one process, whose counters are
	// all there is.
	duringRounds string
}

func providers() []provider {
	return []provider{
		{name: "strict", life: time.Minute, patience: 3 * time.Minute, duringRounds: "sweep: {enabled: false}"},
		{
			name: "grace", env: []string{"LAMPLIGHTER_PROVIDER_PROFILE=okta"}, forgives: true,
			policy: op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(30 * time.Second)},
			life:   time.Hour, patience: time.Minute,
		},
	}
}

// The process is killed in a forced refresh, at one point, in every round.
func TestKilledInARefresh(t *testing.T) {
	t.Parallel()
	for _, k := range providers() {
		for _, p := range points() {
			t.Run(k.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, k, p)
				for w.rounds < *rounds {
					w.batch(min(batch, *rounds-w.rounds))
				}
				w.books()
				t.Logf("%d rounds, %d answers lost", w.rounds, w.lost())
			})
		}
	}
}

func (w *world) lost() (n int) {
	for _, u := range w.users {
		if u.lost {
			n++
		}
	}
	return n
}

// batch has size users, kills the process in the refresh of each, and sees what
// came of them.
func (w *world) batch(size int) {
	w.t.Helper()
	var users []*user
	for range size {
		users = append(users, w.login())
	}
	for _, u := range users {
		w.round(w.rounds, u)
		w.rounds++
	}
	w.s.Lamplighter.Kill()
	w.s.WriteConfig(w.t, "") // with the sweep
	w.s.Lamplighter.Start()
	w.settle(users)
	w.verdict(users)
	// Not killed: it may be refreshing somebody of an earlier batch.
	if err := w.s.Lamplighter.Terminate(); err != nil {
		w.t.Fatal(err)
	}
	w.s.WriteConfig(w.t, w.provider.duringRounds)
	w.s.Lamplighter.Start()
}

// round kills the process in u's refresh and looks at what is left of it.
func (w *world) round(n int, u *user) {
	w.t.Helper()
	w.nobodyEnded(0)
	disarm := w.point.arm(w, n)
	w.killed(u)
	disarm()
	w.s.Lamplighter.Start()
	if w.point.consumed(n) == yes { // by a provider that may not know yet that it talks to the dead
		w.until("the provider has taken the refresh token", func() bool { return w.s.OP.Ledger().Consumed[u.family] == 1 })
	}
	consumed := w.s.OP.Ledger().Consumed[u.family] == 1
	if w.provider.forgives {
		w.settle([]*user{u})
	}
	s := w.session(u)
	if s.Live == nil {
		w.t.Fatalf("round %d: the session ended: %s", n, s.Reason)
	}
	intent, stored := s.Attempt != nil, false
	for _, o := range s.History {
		intent = intent || o.Replay // one takes its place
		stored = stored || o.Class == "renewed" && !o.Replay
	}
	if p := w.point; !p.intent(n).allows(intent) || !p.consumed(n).allows(consumed) || !p.stored(n).allows(stored) || stored && !consumed {
		w.t.Fatalf("round %d was not killed at its point: intent in the store %v, token consumed %v, the next stored %v", n, intent, consumed, stored)
	}
	u.lost = consumed && !stored
}

const settlePace = 500 * time.Millisecond

// settle waits until nobody's session is in doubt any more, while the users go
// on with what they do.
func (w *world) settle(users []*user) {
	w.t.Helper()
	open := slices.Clone(users)
	w.every(settlePace, "no session is in doubt", func() bool {
		open = slices.DeleteFunc(open, func(u *user) bool {
			w.fetch(u)
			s := w.session(u)
			return s.Live == nil || !s.InDoubt && s.Attempt == nil
		})
		return len(open) == 0
	})
}
