//go:build soak

package soak

import (
	"fmt"
	"slices"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

// books is what the provider's ledger says of each family.
type books struct {
	kinds     []kind
	struck    map[string]int // refresh requests, by kind of fault
	refreshes int
	consumed  int
	asked     map[string][]op.Received // the refresh requests, in order
	doomed    map[string]doom
}

// doom is an answer after which a session cannot live.
type doom struct {
	seq        int // of its request
	generation int // that was consumed
	end        session.Reason
}

func read(l op.Ledger, all []kind, forgiving bool) books {
	b := books{kinds: all, struck: map[string]int{}, asked: map[string][]op.Received{}, doomed: map[string]doom{}}
	for _, r := range l.Received {
		if r.GrantType != "refresh_token" {
			continue
		}
		b.refreshes++
		if r.Fault != "" {
			b.struck[r.Fault]++
		}
		b.asked[r.Family] = append(b.asked[r.Family], r)
		if r.Accepted && !r.Spent {
			b.consumed++
		}
		d, doomed := b.doomed[r.Family]
		switch {
		case !doomed && r.Accepted:
			if end := b.endBy(r, forgiving); end != "" {
				b.doomed[r.Family] = doom{r.Seq, r.Generation, end}
			}
		case d.end == session.ReasonDead && r.Generation == d.generation && b.kind(r.Fault).doubts:
			d.end = session.ReasonLostAnswer // the refusal comes when it is asked again
			b.doomed[r.Family] = d
		}
	}
	return b
}

func (b books) kind(name string) kind {
	for _, k := range b.kinds {
		if k.name == name {
			return k
		}
	}
	return kind{}
}

// endBy is how the session must end because of an answer with tokens; empty: it
// must not.
func (b books) endBy(r op.Received, forgiving bool) session.Reason {
	k := b.kind(r.Fault)
	switch {
	case forgiving:
		return k.endsForgiven
	case r.Lost: // also a slow drip that was left before its end
		return session.ReasonLostAnswer
	default:
		return k.ends
	}
}

// mostReplays of a spent token are refused before its session ends: one while its
// access token lives, whose winner may yet come back, and one after.
const mostReplays = 2

// repeats finds the spent tokens that came back though their successor had
// arrived, and those that came back too often.
func (b books) repeats() (bad []string) {
	for family, asked := range b.asked {
		var lost []int // generations whose successor did not arrive
		refused := map[int]int{}
		for _, r := range asked {
			if r.Spent && !slices.Contains(lost, r.Generation) {
				bad = append(bad, fmt.Sprintf("%s: generation %d came back though its successor had arrived: %+v", family, r.Generation, asked))
			}
			if end := b.endBy(r, false); r.Accepted && end != "" && end != session.ReasonForeign {
				lost = append(lost, r.Generation)
			}
			if r.Spent && !r.Accepted && r.Fault == "" {
				if refused[r.Generation]++; refused[r.Generation] > mostReplays {
					bad = append(bad, fmt.Sprintf("%s: generation %d came back too often: %+v", family, r.Generation, asked))
				}
			}
		}
	}
	return bad
}

// excuses a 401 for a session that lives: when its request was answered, the last
// refresh was refused, or the session was about to end.
func (b books) excuses(t told) bool {
	if d, doomed := b.doomed[t.family]; doomed && d.seq <= t.to {
		return true
	}
	refused := false
	for _, r := range b.asked[t.family] {
		switch refuses := b.kind(r.Fault).refuses; {
		case r.Seq <= t.from:
			refused = refuses
		case r.Seq <= t.to:
			refused = refused || refuses
		}
	}
	return refused
}

// excusesStale says whether a token may be served after its end: the answer with
// it was wrong about its life. The code brings the first, the k-th refresh the one after.
func (b books) excusesStale(s stale) bool {
	number := 1
	for _, r := range b.asked[s.family] {
		if r.Accepted {
			number++
		}
		if r.Accepted && number == s.number {
			return b.kind(r.Fault).life
		}
	}
	return false
}
