package product

import (
	"strings"
	"testing"
	"time"
)

// What the refreshes go by is told at start, in one line, and so is what does
// not fit before any token is known.
func TestRefreshSettingsAreToldAtStart(t *testing.T) {
	t.Parallel()
	const clash = "sweep.active_within is longer than session.idle"
	for name, tt := range map[string]struct {
		config string
		line   string
		clash  string // the numbers of it; empty: none
	}{
		"the defaults": {
			"",
			"token_refresh_threshold=5m0s check_interval=5m0s active_within=30m0s sweep_rate=300 max_in_flight=48 max_wait=3s deadline=10s\n", "",
		},
		"others": {
			"refresh: {token_refresh_threshold: 61s, max_wait: 4s, deadline: 11s}\nsweep: {check_interval: 62s, active_within: 2h, rate: 63, max_in_flight: 64}",
			"token_refresh_threshold=1m1s check_interval=1m2s active_within=2h0m0s sweep_rate=63 max_in_flight=64 max_wait=4s deadline=11s\n",
			"active_within=2h0m0s session_idle=1h0m0s\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: 15 * time.Minute, config: tt.config}, func(w *world) {
				said := w.log.String()
				if strings.Count(said, `msg="refresh settings" profile=generic replay=late ends_access=false `+tt.line) != 1 {
					w.t.Errorf("want one line %q:\n%s", tt.line, said)
				}
				if strings.Contains(said, clash) != (tt.clash != "") || !strings.Contains(said, tt.clash) {
					w.t.Errorf("want %q:\n%s", tt.clash, said)
				}
			})
		})
	}
}

// What the config adds to the authorization request arrives in it.
func TestAuthorizationParamsAreSent(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, provider: "authorization_params: {audience: https://api.example.com}"}, func(w *world) {
		at := w.browser().VisitOnce("/").Location
		if !strings.HasPrefix(at, issuer) || !strings.Contains(at, "audience=https%3A%2F%2Fapi.example.com") {
			w.t.Errorf("the login goes to %s", at)
		}
		w.login("ada")
	})
}
