package refresh

import (
	"math/rand/v2"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// backoff draws the wait after failure k (from 1): uniform in (d/2, d], so that
// sessions that failed together do not come back together.
func backoff(k int, now, exp time.Time) time.Duration {
	d := backoffBound(k, now, exp)
	return d - rand.N(d/2)
}

// backoffBound is d: doubling from a second, never more than a quarter of what is
// left of the token, and five seconds once it has expired.
func backoffBound(k int, now, exp time.Time) time.Duration {
	limit := 5 * time.Second
	if left := exp.Sub(now); left > 0 {
		limit = max(time.Second, min(time.Minute, left/4))
	}
	const doublings = 6 // 64 s is past every limit
	return min(time.Second<<min(max(k-1, 0), doublings), limit)
}

// coolUntil is when a token is old enough to be refreshed again: whoever asks
// before that asks for what has just been done. Only an operator can.
func coolUntil(t session.Token) time.Time {
	return t.Issued.Add(min(10*time.Second, t.Lifetime/6))
}
