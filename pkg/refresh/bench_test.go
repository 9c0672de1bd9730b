package refresh_test

import (
	"context"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// BenchmarkSweepCost is the time of TestSweepCost, up to a million sessions: it
// alternates sweeps of three hundred among ten thousand and among more. Of each
// the quickest counts, since on a shared machine only that is the code's own.
func BenchmarkSweepCost(b *testing.B) {
	for _, of := range []struct {
		name        string
		users, idle int
	}{
		{"100,000", 100_000, 0},
		{"10,000 and 90,000 idle", 10_000, 90_000},
		{"1,000,000", 1_000_000, 0},
		{"100,000 and 900,000 idle", 100_000, 900_000},
	} {
		b.Run(of.name, func(b *testing.B) {
			least, more := newSwept(b, 10_000, 0), newSwept(b, of.users, of.idle)
			look, wait := more.firstLook()
			const rounds = 50
			quickest, among := time.Hour, time.Hour
			for b.Loop() {
				for range rounds { // neither has the advantage of its place
					quickest = min(quickest, least.sweepDue())
					among = min(among, more.sweepDue(), more.sweepDue())
					quickest = min(quickest, least.sweepDue())
				}
			}
			ratio := float64(among) / float64(quickest)
			if ratio > 2 {
				b.Errorf("a sweep took %v, among 10,000 sessions %v: more than twice as long", among, quickest)
			}
			b.ReportMetric(0, "ns/op") // of no meaning: it holds the logins and logouts between the sweeps
			b.ReportMetric(ratio, "x-10,000")
			b.ReportMetric(among.Seconds()*1e3, "ms/sweep")
			b.ReportMetric(look.Seconds()*1e3, "ms-first-look")
			b.ReportMetric(wait.Seconds()*1e3, "ms-longest-wait")
		})
	}
}

// swept is a process with sessions none of which is to be refreshed, in real time.
type swept struct{ *rig }

func newSwept(b *testing.B, users, idle int) swept {
	r := newRig(b, setup{rate: 1e9})
	b.Cleanup(r.close)
	r.fill(users, idle)
	return swept{r}
}

// firstLook is how long the first look of a sweep takes, at which idle sessions
// leave the index, and the longest that a reader of the store waits meanwhile.
func (s swept) firstLook() (took, wait time.Duration) {
	looked := make(chan time.Duration)
	go func() {
		from := time.Now()
		s.ref.SweepDue(context.Background())
		looked <- time.Since(from)
	}()
	for {
		from := time.Now()
		_, _ = s.mem.Get(context.Background(), session.ID{})
		wait = max(wait, time.Since(from))
		select {
		case took = <-looked:
			return took, wait
		default:
		}
	}
}

// sweepDue times a sweep of three hundred sessions, which are new and end after it.
func (s swept) sweepDue() time.Duration {
	ids := s.fillDue(300)
	from := time.Now()
	s.ref.SweepDue(context.Background())
	took := time.Since(from)
	for _, id := range ids {
		if s.record(id).Session.Revision != 2 {
			s.t.Fatal("a session that was due was not refreshed")
		}
		if _, err := s.mem.End(context.Background(), id, session.ReasonLogout, store.Cond{}); err != nil {
			s.t.Fatal(err)
		}
	}
	return took
}
