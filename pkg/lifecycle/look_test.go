package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Looking at a session tells what a request would meet, and is no use of it.
func TestOver(t *testing.T) {
	t.Parallel()
	const absolute = 8 * time.Hour
	for name, tt := range map[string]struct {
		busy time.Duration // used every half an hour for so long, from the login on
		look time.Duration // after the login
		want session.Reason
	}{
		"in use":                  {5 * time.Hour, 5*time.Hour + time.Minute, ""},
		"the last moment of idle": {time.Hour, time.Hour + idle, ""},
		"idle":                    {time.Hour, time.Hour + idle + time.Second, session.ReasonIdle},
		"absolute":                {absolute - 30*time.Minute, absolute + time.Second, session.ReasonAbsolute},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s, used := r.login(), time.Now()
				for time.Since(s.CreatedAt) < tt.busy {
					r.pass(30 * time.Minute)
					r.mustUse(s.ID)
					used = time.Now()
				}
				r.pass(tt.look - time.Since(s.CreatedAt))
				for range 2 {
					rec, err := r.mem.Get(context.Background(), s.ID)
					if err != nil {
						t.Fatal(err)
					}
					if got := r.life.LastUse(rec); !got.Equal(used) {
						t.Errorf("last use %v, want %v", got, used)
					}
					over := r.life.Over(rec)
					if _, err := r.life.Get(context.Background(), s.ID); (over != nil) != errors.Is(err, session.ErrEnded) {
						t.Errorf("over %v, but a reader is told %v", over, err)
					}
					if tt.want == "" {
						if over != nil {
							t.Errorf("over: %v", over)
						}
					} else if over == nil || over.Reason != tt.want || !over.At.Equal(time.Now().Add(-time.Second)) {
						t.Errorf("over: %+v, want %s a second ago", over, tt.want)
					}
				}
			})
		})
	}
}
