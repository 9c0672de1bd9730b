package authz

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One line, with the numbers, when Envoy's timeout leaves no room for max_wait.
func TestATimeoutTooShortForAWaitIsToldOnce(t *testing.T) {
	t.Parallel()
	const said = "Envoy's timeout for a Check is too short for refresh.max_wait"
	for name, tt := range map[string]struct {
		age     time.Duration
		timeout time.Duration // 0: none
		told    bool
	}{
		"shorter":                 {2 * time.Minute, 2 * time.Second, true},
		"by what an answer needs": {2 * time.Minute, 3300 * time.Millisecond, true},
		"long enough":             {2 * time.Minute, 3400 * time.Millisecond, false},
		"none":                    {2 * time.Minute, 0, false},
		"nobody waits":            {time.Second, 2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, h := known(t, aged(tt.age))
				f.wait = never
				for range 2 {
					ctx, cancel := t.Context(), func() {}
					if tt.timeout > 0 {
						ctx, cancel = context.WithTimeout(ctx, tt.timeout)
					}
					f.doCtx(t, ctx, get(h), raw)
					cancel()
				}
				want := 0
				if tt.told {
					want = 1
				}
				numbers := fmt.Sprintf("level=WARN msg=%q check_time_left=%v max_wait=3s\n", said+", requests that wait for a refresh are answered earlier", tt.timeout)
				if got := strings.Count(f.log.String(), said); got != want || strings.Count(f.log.String(), numbers) != want {
					t.Errorf("told %d times, want %d:\n%s", got, want, f.log)
				}
			})
		})
	}
}
