//go:build replicas

package replicas

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A history is everything that happened to one session: what three replicas
// answered, what the provider was asked for, and its end. It is right if there is
// an order of it all, each at an instant between its beginning and its end, in
// which every step is allowed.
type what int

const (
	allowed what = iota // by replica, with the access token of number
	denied              // by replica, with 401
	spends              // the provider takes the refresh token of number
	spent               // the refresh token of number comes back to the provider
	hears               // replica hears that the session is over
)

func (w what) String() string {
	return [...]string{"allowed", "denied", "spends", "spent", "hears"}[w]
}

type step struct {
	what    what
	replica int
	number  int
}

// replicasIn a history.
const replicasIn = 3

// state is what is known at an instant. The access token of the login is number 1,
// and the refresh token that came with it generation 1.
type state struct {
	taken    int  // the newest generation that the provider has taken
	lost     bool // it came back: the answer of it was lost
	replicas [replicasIn]struct {
		newest int // number of the newest access token that was served
		over   bool
	}
}

// next is the rule: what a step makes of s, or that it must not be.
func (s state) next(e step) (bool, state) {
	r := &s.replicas[e.replica]
	switch e.what {
	case allowed:
		ok := !r.over && e.number >= r.newest && e.number <= s.taken+1 && !(s.lost && e.number > s.taken)
		r.newest = e.number
		return ok, s
	case denied:
		return r.over, s
	case spends:
		ok := e.number == s.taken+1 && !s.lost
		s.taken = e.number
		return ok, s
	case spent: // nobody can have had what it was spent for
		ok := e.number == s.taken
		for _, r := range s.replicas {
			ok = ok && r.newest <= e.number
		}
		s.lost = true
		return ok, s
	case hears:
		r.over = true
		return true, s
	}
	return false, s
}

func model() porcupine.Model {
	return porcupine.Model{
		Init:              func() any { return state{} },
		Step:              func(s, in, _ any) (bool, any) { return s.(state).next(in.(step)) },
		DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
	}
}

// never is the end of what may take effect at any time.
const never = math.MaxInt64

func during(e step, call, returned int64) porcupine.Operation {
	return porcupine.Operation{ClientId: e.replica, Input: e, Call: call, Return: returned}
}

// A checker that accepts everything shows nothing.
func TestTheModelRejectsWhatMustNotBe(t *testing.T) {
	t.Parallel()
	at := func(n int64, e step) porcupine.Operation { return during(e, 10*n, 10*n+1) }
	good := []porcupine.Operation{
		at(1, step{allowed, 0, 1}), at(2, step{allowed, 1, 1}), at(3, step{what: spends, number: 1}), at(4, step{allowed, 0, 2}),
		at(5, step{allowed, 1, 1}), at(6, step{allowed, 1, 2}), // it hears of it later
		during(step{what: hears, replica: 0}, 70, 75), during(step{what: hears, replica: 1}, 70, 1070),
		at(8, step{denied, 0, 0}), at(9, step{allowed, 1, 2}), at(200, step{denied, 1, 0}),
	}
	lost := []porcupine.Operation{
		at(1, step{what: spends, number: 1}), at(2, step{allowed, 0, 1}), at(3, step{what: spent, number: 1}), at(4, step{what: spent, number: 1}),
		during(step{what: hears, replica: 0}, 30, never), at(5, step{allowed, 0, 1}), at(6, step{denied, 0, 0}),
	}
	for name, tt := range map[string]struct {
		of   []porcupine.Operation
		more porcupine.Operation
	}{
		"an allow after the bound":                 {good, at(150, step{allowed, 1, 2})},
		"an allow where it was denied":             {good, at(9, step{allowed, 0, 2})},
		"a 401 for nothing":                        {good[:6], at(7, step{denied, 2, 0})},
		"a 401 before the logout":                  {good, at(6, step{denied, 1, 0})},
		"a token goes back":                        {good[:6], at(7, step{allowed, 0, 1})},
		"a token that nobody has issued":           {good[:6], at(7, step{allowed, 0, 3})},
		"a generation is spent twice":              {good[:6], at(7, step{what: spends, number: 1})},
		"a generation comes back after its answer": {good[:6], at(7, step{what: spent, number: 1})},
		"a generation is left out":                 {good[:6], at(7, step{what: spends, number: 3})},
		"one more is spent after a loss":           {lost, at(7, step{what: spends, number: 2})},
		"what was lost is served":                  {lost, at(4, step{allowed, 1, 2})},
		"what came back first was another":         {lost, at(7, step{what: spent, number: 2})},
	} {
		if !porcupine.CheckOperations(model(), tt.of) {
			t.Errorf("%s: rejected without it", name)
		}
		if porcupine.CheckOperations(model(), append(tt.of[:len(tt.of):len(tt.of)], tt.more)) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// check tells whether a history is right; what it cannot tell in time is wrong.
func check(history []porcupine.Operation) error {
	got := porcupine.CheckOperationsTimeout(model(), history, time.Minute)
	if got == porcupine.Ok {
		return nil
	}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var told strings.Builder
	for _, o := range history {
		e := o.Input.(step)
		fmt.Fprintf(&told, "\n%v to %v: replica %d: %v %d", time.Duration(o.Call), time.Duration(o.Return), e.replica, e.what, e.number)
	}
	return fmt.Errorf("%s:%s", got, &told)
}
