package refresh_test

import (
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/race"
)

// TestHalfAnHourOfOutage: nobody is logged out, the provider sees probes only,
// and is met gently when it is back.
func TestHalfAnHourOfOutage(t *testing.T) {
	t.Parallel()
	users := 10_000
	if race.Enabled {
		users = 2500 // enough to fill the ramp
	}
	for name, fail := range map[string]step{"503": refuses(session.Transient), "hangs": slow(time.Hour, honest)} {
		t.Run(name, func(t *testing.T) {
			play(t, setup{}, func(r *rig) {
				c := r.crowded(users, 15*time.Minute)
				r.sweep()
				c.come(3*time.Minute, time.Minute)
				r.op.does(fail)
				down := time.Now()
				c.come(10*time.Minute, time.Minute) // by now the breaker is open
				if n := r.metric("bff_provider_breaker_open"); n != 1 {
					t.Fatalf("the breaker gauge is %v after ten minutes", n)
				}
				open := time.Now()
				c.come(20*time.Minute, time.Minute)
				if got, most := since(r.op.ledger(), open), int(20*time.Minute/(5*time.Second))+1; got == 0 || got > most {
					t.Errorf("%d requests in twenty minutes of outage, want 1 to %d probes", got, most)
				}
				if got, most := since(r.op.ledger(), down), 10+48+int(30*time.Minute/(5*time.Second))+1; got > most {
					t.Errorf("%d requests in all of the outage, want at most %d", got, most)
				}
				r.op.does(slow(100*time.Millisecond, honest))
				up := time.Now()
				c.come(20*time.Minute, time.Minute)
				r.ramped(up)
				for i, id := range c.ids {
					c.request(i)
					if v := r.view(id); !time.Now().Before(v.Window.Exp) {
						t.Errorf("user %d has no token in the end", i)
					}
				}
				t.Logf("%d requests, %d met an expired token, %d got none; %d POSTs", c.asked.Load(), c.expired.Load(), c.refused.Load(), len(r.op.ledger()))
			})
		})
	}
}

// ramped expects what a provider of 100 ms sees after it is back: the probe, then
// one slot, two, four and so on, every two seconds.
func (r *rig) ramped(up time.Time) {
	r.t.Helper()
	var back time.Time
	starts := map[int]int{}
	for _, p := range r.op.ledger() {
		if p.at.Before(up) {
			continue
		}
		if back.IsZero() {
			back = p.at.Add(100 * time.Millisecond)
		}
		starts[int(p.at.Sub(back)/rampStep)]++
	}
	for step, slots := 0, 1; slots < 48; step, slots = step+1, 2*slots {
		if most := slots*20 + slots; starts[step] > most {
			r.t.Errorf("%d requests in the %v from %v after the recovery, want at most %d", starts[step], rampStep, time.Duration(step)*rampStep, most)
		}
	}
}

const rampStep = 2 * time.Second
