package op

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Duration is a time.Duration that reads and writes as "250ms" in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Fault is what happens to a POST at the token endpoint, in the order of its
// fields. The zero Fault is none.
type Fault struct {
	// GrantType is refresh_token or authorization_code; empty means both. Each
	// of the three has one fault, and the one with a name goes first.
	GrantType string `json:"grant_type,omitempty"`
	// Times is how many POSTs it strikes; 0 is every one until it is cleared.
	Times int `json:"times,omitempty"`
	// Delay passes before anything else. The POST is then handled, whether or
	// not its caller still waits.
	Delay Duration `json:"delay,omitempty"`
	// HoldBefore waits for [Provider.Release] before anything is consumed. If
	// the caller's connection closes first, the POST is dropped unhandled.
	HoldBefore bool `json:"hold_before,omitempty"`
	// Status, if not 0, is answered with Body, and nothing is consumed.
	Status int    `json:"status,omitempty"`
	Body   string `json:"body,omitempty"`
	// HoldAfter waits for [Provider.Release] with the answer ready, and the
	// token consumed.
	HoldAfter bool `json:"hold_after,omitempty"`
}

func (f Fault) validate() error {
	switch f.GrantType {
	case "", string(oidc.GrantTypeCode), string(oidc.GrantTypeRefreshToken):
	default:
		return fmt.Errorf("grant type %q is not authorization_code, refresh_token or empty", f.GrantType)
	}
	if f.Times < 0 || f.Delay < 0 {
		return fmt.Errorf("times %d and delay %v must not be negative", f.Times, time.Duration(f.Delay))
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("status %d is not 200 to 599", f.Status)
	}
	return nil
}

// faults are the faults in force, and the gate that held POSTs wait at.
type faults struct {
	mu   sync.Mutex
	by   map[string]*Fault
	used map[string]int
	gate chan struct{} // closed, and replaced, by every release
}

func newFaults() *faults {
	return &faults{by: map[string]*Fault{}, used: map[string]int{}, gate: make(chan struct{})}
}

// strike returns the fault for a POST of this grant type, and counts it.
func (f *faults) strike(grant string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range []string{grant, ""} {
		fault := f.by[key]
		if fault == nil {
			continue
		}
		f.used[key]++
		if fault.Times > 0 && f.used[key] >= fault.Times {
			delete(f.by, key)
		}
		return *fault
	}
	return Fault{}
}

// SetFault puts f in force, in place of the fault of the same grant type, from
// the next POST on. It fails on a grant type, status or number that cannot be.
func (p *Provider) SetFault(f Fault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("set fault: %w", err)
	}
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.by[f.GrantType] = &f
	p.faults.used[f.GrantType] = 0
	return nil
}

// ClearFaults ends every fault. What is already held stays held.
func (p *Provider) ClearFaults() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	clear(p.faults.by)
}

// Release lets every POST go that is held at this moment.
func (p *Provider) Release() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	close(p.faults.gate)
	p.faults.gate = make(chan struct{})
}

// hold waits for the next release. It reports false if the caller's connection
// or the provider closed first; cut is then the POST's error, from the moment it
// is no longer held. Whoever sees Held in the ledger and releases, releases this
// one: the gate is fetched before the ledger shows it.
func (p *Provider) hold(ctx context.Context, seq int, cut string) bool {
	p.faults.mu.Lock()
	gate := p.faults.gate
	p.faults.mu.Unlock()
	p.storage.held(seq, +1, "")
	select {
	case <-gate:
		p.storage.held(seq, -1, "")
		return true
	case <-ctx.Done():
	case <-p.closed:
	}
	p.storage.held(seq, -1, cut)
	return false
}

// delay waits for d. It reports false if the provider closed first.
func (p *Provider) delay(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.closed:
		return false
	}
}

func (s *storage) held(seq, change int, failure string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.held += change
	if failure != "" {
		s.book.received[seq-1].Error = failure
	}
}
