package refresh_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// The reasons, in short; each has a word that no other has.
const (
	tooShort     = "live too short"
	thresholdCut = "a third is taken"
	slowRefresh  = "refresh.deadline"
	inactive     = "sweep.active_within"
	lowRate      = "sweep.rate"
)

// misfit is one line about settings that do not fit.
type misfit struct {
	Level     string        `json:"level"`
	Why       []string      `json:"why"`
	Life      time.Duration `json:"access_token_life"`
	Mean      time.Duration `json:"mean_access_token_life"`
	Sessions  int           `json:"active_sessions"`
	Needed    float64       `json:"needed_per_second"`
	Threshold time.Duration `json:"token_refresh_threshold"`
	Ahead     time.Duration `json:"due_before_expiry"`
	Deadline  time.Duration `json:"refresh_deadline"`
	Interval  time.Duration `json:"check_interval"`
	Active    time.Duration `json:"active_within"`
	Rate      int           `json:"sweep_rate"`
}

// misfits are those lines, so far.
func (r *rig) misfits() (all []misfit) {
	r.t.Helper()
	for line := range strings.Lines(r.log.String()) {
		if !strings.Contains(line, "settings do not fit the access tokens") {
			continue
		}
		var m misfit
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (m misfit) is(reasons ...string) bool {
	return slices.EqualFunc(m.Why, reasons, strings.Contains)
}

func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	const second, minute = time.Second, time.Minute
	for name, tt := range map[string]struct {
		set      setup
		sessions int
		life     time.Duration
		why      []string // nil: nothing is said
		needed   float64  // of the line
		ahead    time.Duration
	}{
		"the defaults, a quarter of an hour": {setup{}, 1, 15 * minute, nil, 0, 0},
		"the defaults, an hour":              {setup{}, 1, time.Hour, nil, 0, 0},
		"the defaults, a day":                {setup{}, 1, 24 * time.Hour, nil, 0, 0},
		"an interval longer than a token":    {setup{checkInterval: 24 * time.Hour}, 1, time.Hour, nil, 0, 0},
		// A 2, m 0.7
		"life": {setup{threshold: 2 * second, deadline: second}, 1, 7 * second, []string{tooShort}, 0, 2 * second},
		// L 8: A 2, m 0.8, S 4/3: 1/(8−2−2/3)
		"life, the shortest that is long enough": {setup{threshold: 2 * second, deadline: 1200 * time.Millisecond}, 1, 8 * second, nil, 0, 0},
		// A 100, S 50: 1/175
		"threshold":             {setup{}, 1, 5 * minute, []string{thresholdCut}, 1. / 175, 100 * second},
		"threshold, a third":    {setup{threshold: 100 * second}, 1, 5 * minute, nil, 0, 0},
		"threshold, and a tick": {setup{threshold: 100*second + 1}, 1, 5 * minute, []string{thresholdCut}, 1. / 175, 100 * second},
		// L 3600: A 15, m 5, S 600: 1/(15+600+60)
		"deadline":               {setup{threshold: 15*second - 1}, 1, time.Hour, []string{slowRefresh}, 1. / 675, 15*second - 1},
		"deadline, just as long": {setup{threshold: 15 * second}, 1, time.Hour, nil, 0, 0},
		// A 300, m 5, S 600: 1/960
		"active_within":               {setup{activeWithin: 295*second - 1}, 1, time.Hour, []string{inactive}, 1. / 960, 300 * second},
		"active_within, just as long": {setup{activeWithin: 295 * second}, 1, time.Hour, nil, 0, 0},
		// L 900: A 300, S 150: N/510
		"rate":              {setup{rate: 1}, 512, 15 * minute, []string{lowRate}, 512. / 510, 300 * second},
		"rate, just enough": {setup{rate: 1}, 510, 15 * minute, nil, 0, 0},
		// A 20/3, m 2, S 10/3
		"all but the life": {
			setup{rate: 1, activeWithin: 4 * second}, 24, 20 * second,
			[]string{thresholdCut, slowRefresh, inactive, lowRate}, 24 / (35. / 3), 20 * second / 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, tt.set, func(r *rig) {
				r.loginMany(tt.sessions, tt.life)
				r.sweep()
				r.pass(second)
				got := r.misfits()
				if len(tt.why) == 0 {
					if len(got) != 0 {
						t.Errorf("said %+v", got)
					}
					return
				}
				if len(got) != 1 || !got[0].is(tt.why...) {
					t.Fatalf("said %+v, want %q", got, tt.why)
				}
				m := got[0]
				if m.Needed < tt.needed*0.9999 || m.Needed > tt.needed*1.0001 {
					t.Errorf("needed %v, want %v", m.Needed, tt.needed)
				}
				want := misfit{
					Level: "WARN", Life: tt.life, Mean: tt.life, Sessions: tt.sessions, Needed: m.Needed, Ahead: tt.ahead,
					Threshold: 300 * second, Deadline: 10 * second, Interval: 300 * second, Active: 30 * minute, Rate: 300,
				}
				want.given(tt.set)
				if slices.Equal(tt.why, []string{thresholdCut}) {
					want.Level = "INFO"
				}
				if m.Why = nil; asText(m) != asText(want) {
					t.Errorf("said %s, want %s", asText(m), asText(want))
				}
			})
		})
	}
}

// given puts what a test set in place of the defaults.
func (m *misfit) given(set setup) {
	for _, d := range []struct{ at, is *time.Duration }{
		{&m.Threshold, &set.threshold}, {&m.Deadline, &set.deadline}, {&m.Interval, &set.checkInterval}, {&m.Active, &set.activeWithin},
	} {
		if *d.is != 0 {
			*d.at = *d.is
		}
	}
	if set.rate != 0 {
		m.Rate = set.rate
	}
}

func asText(m misfit) string {
	text, _ := json.Marshal(m)
	return string(text)
}

// TestMisfitIsToldOnChange: one line, and another only when there is another reason.
func TestMisfitIsToldOnChange(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		r.sweep()
		r.pass(10 * time.Minute)
		if got := r.misfits(); len(got) != 0 {
			t.Fatalf("of nobody: %+v", got)
		}
		r.login(5 * time.Minute)
		r.pass(10 * time.Minute)
		if got := r.misfits(); len(got) != 1 || !got[0].is(thresholdCut) || got[0].Level != "INFO" {
			t.Fatalf("in ten minutes of the same: %+v", got)
		}
		short := r.login(20 * time.Second)
		r.pass(10 * time.Minute)
		if got := r.misfits(); len(got) != 2 || !got[1].is(thresholdCut, slowRefresh) || got[1].Life != 20*time.Second || got[1].Mean != 160*time.Second {
			t.Fatalf("after a shorter token: %+v", got)
		}
		// Of the mean, L 160: A 160/3, S 160/6.
		if n := r.metric("bff_sweep_needed_rate"); n < 2/93.34 || n > 2/93.33 {
			t.Errorf("needed rate %v", n)
		}
		if _, err := r.life.End(context.Background(), short.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		r.pass(5 * time.Minute)
		if got := r.misfits(); len(got) != 3 || !got[2].is(thresholdCut) {
			t.Fatalf("after its end: %+v", got)
		}
		r.login(time.Hour) // nothing to do with the shortest
		r.pass(5 * time.Minute)
		if got := r.misfits(); len(got) != 3 {
			t.Fatalf("after a longer token: %+v", got[3:])
		}
		r.pass(31 * time.Minute) // nobody was seen within active_within
		if n := r.metric("bff_sweep_needed_rate"); n != 0 {
			t.Errorf("needed rate %v of nobody", n)
		}
	})
}
