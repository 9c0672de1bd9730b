//go:build soak

package soak

import (
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	pairs = 5
	// phase is how long the provider is away, and how long it is there.
	phase = 20 * time.Second
)

func cheap(o *op.Options) { o.ES256 = true }

// While the provider is away, refusing connections or taking them and saying
// nothing, and others' tokens expire and are asked for again and again, a request
// on a Fresh session is answered as fast as ever: in the median of five pairs its
// p99 is at most half as much again.
func TestOutage(t *testing.T) {
	s := stack.Start(t, stack.Options{AccessTokenLife: 24 * time.Hour, Plain: true, Provider: cheap})
	fresh := browsers(t, s, 50)
	s.OP.SetAccessTokenLife(tokenLife)
	others := browsers(t, s, 100)
	ratios := make([]float64, pairs)
	for i := range ratios {
		well := p99(outagePhase(t, s, fresh, others, true))
		s.StopOP()
		end := func() {}
		if i%2 == 1 {
			end = silence(t, s)
		}
		ill := p99(outagePhase(t, s, fresh, others, false))
		end()
		s.ReturnOP(t)
		healed(t, others)
		ratios[i] = float64(ill) / float64(well)
		t.Logf("pair %d: p99 %v while the provider is well, %v while it is away: %.2f", i+1, well, ill, ratios[i])
	}
	if got := median(ratios); got > 1.5 {
		t.Errorf("p99 of Fresh checks is %.2f of the one with a provider, in the median; want at most 1.5", got)
	}
}

// silence takes connections in the provider's place, and never answers.
func silence(t *testing.T, s *stack.Stack) (end func()) {
	t.Helper()
	hole, err := net.Listen("tcp", strings.TrimPrefix(s.Issuer, "http://")) // the kernel connects, nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = hole.Close() }
}

// outagePhase measures Fresh sessions while the others are used too.
func outagePhase(t *testing.T, s *stack.Stack, fresh, others []*stack.Browser, well bool) (measured []sample) {
	t.Helper()
	before := failures(s)
	var beside []sample
	var going sync.WaitGroup
	going.Go(func() { beside = pace(t, s, others, 10*time.Millisecond, phase) })
	measured = pace(t, s, fresh, 5*time.Millisecond, phase)
	going.Wait()
	if got := statuses(measured); got[http.StatusOK] != len(measured) || len(measured) < 1000 {
		t.Errorf("Fresh sessions were answered %v", got)
	}
	got := statuses(beside)
	away := got[http.StatusServiceUnavailable]
	if unexpected := len(beside) - got[http.StatusOK] - away; unexpected > 0 || well != (away == 0) || well && got[http.StatusOK] == 0 {
		t.Errorf("the others, the provider well: %v, were answered %v", well, got)
	}
	if !well && failures(s) == before {
		t.Error("nobody was asked for a token while the provider was away")
	}
	return measured
}

// failures is how many refreshes have failed because of the provider.
func failures(s *stack.Stack) (n float64) {
	for _, reason := range []string{"transient", "unknown"} {
		n += s.Lamplighter.Metric(`bff_token_refresh_failed_total{reason="` + reason + `"}`)
	}
	return n
}

// healed waits until everybody is served again, each several times in a row.
func healed(t *testing.T, all []*stack.Browser) {
	t.Helper()
	served := 0
	for deadline := time.Now().Add(time.Minute); served < 3*len(all); {
		a, err := all[served%len(all)].TryFetch(t.Context(), "/")
		switch {
		case err == nil && a.Status == http.StatusOK:
			served++
		case time.Now().After(deadline):
			t.Fatalf("a minute after the outage: %v %v", a, err)
		default:
			served = 0
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// While the provider takes two seconds to answer, a request on a Due session
// waits for nothing: in the median of five slices its p99 is at most twice that
// of a request on a Fresh one, beside it.
func TestSlowProvider(t *testing.T) {
	const slow = 2 * time.Second
	s := stack.Start(t, stack.Options{AccessTokenLife: tokenLife, Plain: true, Provider: cheap, Config: "sweep: {enabled: false}"})
	if err := s.OP.SetFault(op.Fault{GrantType: "refresh_token", Delay: op.Duration(slow)}); err != nil {
		t.Fatal(err)
	}
	all := browsers(t, s, 100)
	pace(t, s, all, 5*time.Millisecond, tokenLife) // until the first tokens, which came without delay, are gone
	ratios := make([]float64, pairs)
	for i := range ratios {
		samples := pace(t, s, all, 5*time.Millisecond, phase)
		fresh, due := split(samples, slow)
		if got := statuses(samples); !maps.Equal(got, map[int]int{http.StatusOK: len(samples)}) || len(fresh) < 500 || len(due) < 300 {
			t.Errorf("answered %v; %d on Fresh sessions, %d on Due ones", got, len(fresh), len(due))
		}
		ratios[i] = float64(p99(due)) / float64(p99(fresh))
		t.Logf("slice %d: p99 %v of %d on Fresh sessions, %v of %d on Due ones: %.2f", i+1, p99(fresh), len(fresh), p99(due), len(due), ratios[i])
	}
	if got := median(ratios); got > 2 {
		t.Errorf("p99 on Due sessions is %.2f of that on Fresh ones, in the median; want at most 2", got)
	}
}

// split tells the samples of Fresh sessions from those of Due ones, by the age of
// the token that they met. It was asked for so much before it was issued, is Due
// for the last third of its life, and Expired in the last tenth; what is near a
// border is left out.
func split(samples []sample, asked time.Duration) (fresh, due []sample) {
	const border = 100 * time.Millisecond
	type one struct {
		family string
		number int
	}
	issued := map[one]time.Time{}
	for _, s := range samples {
		issued[one{s.token.Family, s.token.Number}] = s.token.Issued
	}
	for _, s := range samples {
		met := one{s.token.Family, s.token.Number}
		if s.token.Issued.After(s.begun) { // served one that it waited for
			met.number--
		}
		at, known := issued[met]
		age := s.begun.Sub(at) + asked
		switch {
		case !known || met.number < 2:
		case age < tokenLife*2/3-border:
			fresh = append(fresh, s)
		case age > tokenLife*2/3+border && age < tokenLife*9/10-border:
			due = append(due, s)
		}
	}
	return fresh, due
}
