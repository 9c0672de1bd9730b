//go:build soak

package soak

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// Who is killed and at once started again is missed by nobody, however long the store
// takes to be opened: Checks wait at the listener. What the retry policy of the shipped
// bootstrap has to bridge is the time in which nothing is started, as it is where
// Kubernetes restarts a container; how many requests fail of that is told and not
// judged, since it is chance. Nothing else fails.
func TestKilledWithManySessions(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sessions int
		away     time.Duration // before it is started again, as Kubernetes does it
		none     bool          // must fail
	}{
		{"1,000, at once", 1000, 0, true},
		{"1,000, after a second", 1000, time.Second, false},
		{"100,000, at once", 100_000, 0, true},
		{"100,000, after a second", 100_000, time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := stack.Start(t, stack.Options{Plain: true, Sessions: tt.sessions, Config: "log: {level: info}"})
			info, err := os.Stat(s.File("sessions.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d sessions in a file of %d MB", tt.sessions, info.Size()/1e6)
			failed := killed(t, s, tt.away)
			if tt.none && failed > 0 {
				t.Errorf("%d requests failed, want none", failed)
			}
		})
	}
}

// outage is from a kill to the next start's readiness.
type outage struct{ killed, started, ready time.Time }

// killed kills the process five times under a load of 200 requests a second, and
// returns how many of them failed, all of which began meanwhile.
func killed(t *testing.T, s *stack.Stack, away time.Duration) (failed int) {
	t.Helper()
	const kills, settled = 5, 1200 // requests, in six seconds: longer than Envoy keeps one
	load := s.Load(t, 5*time.Millisecond)
	var outages []outage
	for range kills {
		load.More(t, settled)
		o := outage{killed: time.Now()}
		s.Lamplighter.Kill()
		time.Sleep(away) // how long nothing is started
		o.started = time.Now()
		s.Lamplighter.Start()
		o.ready = time.Now()
		outages = append(outages, o)
	}
	load.More(t, settled)
	meanwhile := 0
	for _, r := range load.Stop() {
		during := slices.ContainsFunc(outages, func(o outage) bool { return r.Ended.After(o.killed) && r.Begun.Before(o.ready) })
		if during {
			meanwhile++
		}
		switch {
		case r.Err != nil && during:
			failed++
		case r.Err != nil:
			t.Errorf("failed though it ran, after %v: %v", r.Ended.Sub(r.Begun), r.Err)
		}
	}
	for _, o := range outages {
		t.Logf("started %v after the kill, ready in %v", o.started.Sub(o.killed).Round(time.Millisecond), o.ready.Sub(o.started).Round(time.Millisecond))
	}
	t.Logf("of %d requests under way or begun meanwhile, %d failed", meanwhile, failed)
	return failed
}
