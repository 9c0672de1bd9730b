package app

import (
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// The clock goes on by the time since boot, whatever happens to the wall clock.
func TestSteadyClock(t *testing.T) {
	t.Parallel()
	wall, up := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), 70*time.Hour
	now := steady(func() time.Time { return wall }, func() time.Duration { return up })
	start := wall
	for _, step := range []time.Duration{0, time.Hour, -2 * time.Hour} {
		wall = wall.Add(step + time.Second)
		up += time.Second
		start = start.Add(time.Second)
		if got := now(); !got.Equal(start) {
			t.Errorf("after a step of %v: %v, want %v", step, got, start)
		}
	}
	up += 3 * time.Hour // the machine slept
	if got, want := now(), start.Add(3*time.Hour); !got.Equal(want) {
		t.Errorf("after a sleep: %v, want %v", got, want)
	}
}

// The real clock tells the wall's time, and moves.
func TestSteadyClockIsTheWallClock(t *testing.T) {
	t.Parallel()
	now := SteadyClock()
	first := now()
	if off := time.Since(first).Abs(); off > time.Minute {
		t.Errorf("it differs from the wall clock by %v", off)
	}
	for deadline := time.Now().Add(10 * time.Second); !now().After(first); {
		if time.Now().After(deadline) {
			t.Fatal("it stands still")
		}
	}
}

// What provider.profile may be is what there is a profile for.
func TestProfilesOfTheConfig(t *testing.T) {
	t.Parallel()
	keys, err := seal.ParseKeys([]byte("k1:" + strings.Repeat("A", 43) + "="))
	if err != nil {
		t.Fatal(err)
	}
	named := func(profile, replay string) (session.Profile, error) {
		s, err := settingsOf(config.Config{Provider: config.Provider{Profile: profile, Replay: replay}}, keys)
		return s.profile, err
	}
	schema, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range session.Profiles() {
		if got, err := named(p.Name, ""); err != nil || got.Name != p.Name || got.Replay != p.Replay {
			t.Errorf("%s: %v, %v", p.Name, got, err)
		}
		if !strings.Contains(string(schema), `"`+p.Name+`"`) {
			t.Errorf("the config does not know the profile %s", p.Name)
		}
	}
	if got, err := named("keycloak", "never"); err != nil || got.Replay != session.ReplayNever || got.Name != "keycloak" {
		t.Errorf("replay over a profile: %v, %v", got, err)
	}
	if _, err := named("acme", ""); err == nil {
		t.Error("a profile that is not known is taken")
	}
}
