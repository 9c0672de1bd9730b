package product

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/race"
)

// A day of users with pauses, at a provider that takes half a second: nobody
// meets an expired token, and refreshes stay near one a lifetime.
func TestADay(t *testing.T) {
	t.Parallel()
	length := 24 * time.Hour
	if race.Enabled {
		length = time.Hour
	}
	for _, tt := range []struct {
		life      time.Duration
		users     int
		mostRatio float64 // of refreshes to swept time ÷ life; 0: not promised
		troubled  float64 // part of the requests that may meet an expired token when 1 answer in 10 is a 503
	}{
		{life: 10 * time.Second, users: 100, troubled: 0.002},
		{life: 30 * time.Second, users: 100},
		{life: time.Minute, users: 100},
		{life: 5 * time.Minute, users: 1000, mostRatio: 1.8},
		{life: 15 * time.Minute, users: 1000},
		{life: time.Hour, users: 1000, mostRatio: 1.25},
	} {
		for _, faults := range []float64{0, 0.1} {
			name, mayExpire := fmt.Sprint(tt.life), 0.0
			if faults > 0 {
				name, mayExpire = name+" with 503s", tt.troubled
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir, began := t.TempDir(), time.Now()
				synctest.Test(t, func(t *testing.T) {
					p, err := newDayProvider(tt.life, faults, 1)
					if err != nil {
						t.Fatal(err)
					}
					d := newDay(t, dir, p, "")
					d.run(tt.users, length, 2)
					if err := d.app.Stop(context.Background()); err != nil {
						t.Error(err)
					}
					d.check(tt.mostRatio, tt.life, mayExpire)
				})
				t.Logf("%.0f simulated seconds a second", length.Seconds()/time.Since(began).Seconds())
			})
		}
	}
}

// check prints the day's numbers and holds them to their bounds.
func (d *day) check(mostRatio float64, life time.Duration, mayExpire float64) {
	t, c, b := d.t, &d.counts, d.op.books()
	requests, expired := c.requests.Load(), c.expired.Load()
	ratio := float64(b.consumed) / (d.swept.Seconds() / life.Seconds())
	t.Logf("%d requests: %d met an expired token, %d waited, %d got 503; %d refresh requests, %d answered 503, %d generations spent, %d spent twice; %.3f × the ideal",
		requests, expired, c.waited.Load(), c.denied.Load(), b.requests, b.failed, b.consumed, b.reused, ratio)
	if race.Enabled { // an hour has too few requests for so small a part: three standard deviations more
		mayExpire += 3 * math.Sqrt(mayExpire/float64(requests))
	}
	if got := float64(expired) / float64(requests); got > mayExpire {
		t.Errorf("%d of %d requests met an expired token (%.3f %%), want at most %.3f %%", expired, requests, 100*got, 100*mayExpire)
	}
	if c.lost.Load() != 0 || c.stale.Load() != 0 {
		t.Errorf("%d requests were turned away, %d left with a token that the provider refuses", c.lost.Load(), c.stale.Load())
	}
	if b.reused != 0 || b.revoked != 0 {
		t.Errorf("%d spent refresh tokens came again, %d families revoked", b.reused, b.revoked)
	}
	if d.op.faults == 0 && b.late != 0 {
		t.Errorf("%d tokens expired before their successors came", b.late)
	}
	if mostRatio > 0 && ratio > mostRatio {
		t.Errorf("%.3f refreshes a lifetime, want at most %.2f", ratio, mostRatio)
	}
}
