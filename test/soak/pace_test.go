//go:build soak

package soak

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// sample is one answered request.
type sample struct {
	begun  time.Time
	took   time.Duration
	status int
	token  op.Access // served; zero if none was
}

// browsers logs n users in.
func browsers(t *testing.T, s *stack.Stack, n int) []*stack.Browser {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1000
	t.Cleanup(transport.CloseIdleConnections)
	all := make([]*stack.Browser, n)
	for i := range all {
		all[i] = stack.NewBrowser(t, s.URL, transport)
		all[i].Login("/", fmt.Sprint("user ", i))
	}
	return all
}

// pace makes a request every so often for d, by one browser after the other, and
// none waits for one before it: what is slow is measured as slow as it is.
func pace(t *testing.T, s *stack.Stack, all []*stack.Browser, every, d time.Duration) []sample {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), d)
	defer end()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var mu sync.Mutex
	var going sync.WaitGroup
	var samples []sample
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			going.Wait()
			return samples
		case <-tick.C:
		}
		going.Go(func() {
			one := sample{begun: time.Now()}
			a, err := all[i%len(all)].TryFetch(t.Context(), "/")
			one.took = time.Since(one.begun)
			if err != nil {
				t.Errorf("request: %v", err)
				return
			}
			if one.status = a.Status; a.Status == http.StatusOK {
				one.token = tokenOf(s, a)
			}
			mu.Lock()
			defer mu.Unlock()
			samples = append(samples, one)
		})
	}
}

func tokenOf(s *stack.Stack, a stack.Answer) op.Access {
	_, after, _ := strings.Cut(a.Body, `"Bearer `)
	token, _, _ := strings.Cut(after, `"`)
	of, _ := s.OP.Access(token)
	return of
}

// p99 of the times that samples took.
func p99(samples []sample) time.Duration {
	took := make([]time.Duration, len(samples))
	for i, s := range samples {
		took[i] = s.took
	}
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}

// statuses counts samples by status.
func statuses(samples []sample) map[int]int {
	n := map[int]int{}
	for _, s := range samples {
		n[s.status]++
	}
	return n
}

// median of five, or of any odd number.
func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }
