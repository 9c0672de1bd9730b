package schedules

import (
	"testing"
	"testing/synctest"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/race"
	"pgregory.net/rapid"
)

func settings() (all []setting) {
	for _, s := range []setting{
		{mode: strict, replay: session.ReplayLate}, {mode: strict, replay: session.ReplayNever},
		{mode: grace, replay: session.ReplayNow}, {mode: grace, replay: session.ReplayLate},
		{mode: nonRotating, replay: session.ReplayNow}, {mode: nonRotating, replay: session.ReplayLate},
		{mode: spares, replay: session.ReplayLate}, {mode: spares, replay: session.ReplayNever},
	} {
		swept := s
		swept.sweep = true
		all = append(all, s, swept)
	}
	return all
}

// search plays all schedules of a setting that depart at most so often from the
// ordinary course, within their first steps, and stops at the first wrong one.
type search struct {
	setting    setting
	meters     meters
	departures int
	within     int

	schedules int
	wrong     []string
	trace     []string
}

func (s *search) run(t *testing.T) {
	script := []int{}
	for script != nil && s.wrong == nil {
		var chosen, options []int
		synctest.Test(t, func(*testing.T) {
			s.wrong, s.trace = play(s.setting, s.meters, func(moves []move) int {
				pick := 0
				if n := len(chosen); n < len(script) {
					pick = min(script[n], len(moves)-1)
				}
				chosen, options = append(chosen, pick), append(options, len(moves))
				return pick
			})
		})
		s.schedules++
		script = s.next(chosen, options)
	}
}

// next is the script after one, in order; nil after the last.
func (s *search) next(chosen, options []int) []int {
	for i := min(len(chosen), s.within) - 1; i >= 0; i-- {
		departed := 0
		for _, pick := range chosen[:i] {
			departed += min(pick, 1)
		}
		if chosen[i]+1 < options[i] && departed < s.departures {
			return append(chosen[:i:i], chosen[i]+1)
		}
	}
	return nil
}

// TestAllSchedules plays every schedule that departs twice from the ordinary
// course; once, while the race detector watches.
func TestAllSchedules(t *testing.T) {
	t.Parallel()
	m, departures := newMeters(), 2
	if race.Enabled {
		departures = 1
	}
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			search := &search{setting: s, meters: m, departures: departures, within: 24}
			search.run(t)
			t.Logf("%d schedules", search.schedules)
			if search.wrong != nil {
				t.Error(report(s, search.wrong, search.trace))
			}
		})
	}
}

// TestRandomSchedules draws schedules of many departures; rapid makes short what
// it finds.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	m, all := newMeters(), settings()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "setting")
		rapid.SyncTest(t, func(t *rapid.T) {
			wrong, trace := play(s, m, func(moves []move) int {
				return walk(moves, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") })
			})
			if wrong != nil {
				t.Fatal(report(s, wrong, trace))
			}
		})
	})
}

// TestFlawsAreFound: whoever breaks a rule is found by the same search.
func TestFlawsAreFound(t *testing.T) {
	t.Parallel()
	m := newMeters()
	for f, s := range map[flaw]setting{
		noFenceInEnd:         {mode: strict, replay: session.ReplayNever},
		forcePassesReplayAt:  {mode: grace, replay: session.ReplayNow, sweep: true},
		commitWithoutCompare: {mode: strict, replay: session.ReplayLate},
		failClearsDoubt:      {mode: strict, replay: session.ReplayLate},
		deadlineFromThePost:  {mode: grace, replay: session.ReplayLate},
	} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			s.flaw = f
			search := &search{setting: s, meters: m, departures: 2, within: 24}
			search.run(t)
			if search.wrong == nil {
				t.Fatalf("%d schedules do not show it", search.schedules)
			}
			t.Logf("schedule %d: %s", search.schedules, report(s, search.wrong, search.trace))
		})
	}
}

// walk departs from the ordinary course in one step of three.
func walk(moves []move, draw func(n int) int) int {
	if draw(3) < 2 {
		return 0
	}
	return draw(len(moves))
}
