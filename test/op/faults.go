package op

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// faults are the faults in force, and the gate that held POSTs wait at.
type faults struct {
	seed uint64

	mu     sync.Mutex
	by     map[string]*Fault
	used   map[string]int
	choose func(n int, grant string) Fault
	begun  int           // token POSTs since choose was set
	gate   chan struct{} // closed, and replaced, by every release
}

func newFaults(seed uint64) *faults {
	return &faults{seed: seed, by: map[string]*Fault{}, used: map[string]int{}, gate: make(chan struct{})}
}

// strike returns the fault for a POST of this grant type, and counts it. Its
// Delay is the one to wait.
func (f *faults) strike(grant string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	fault := f.next(grant)
	if span := fault.DelayMax - fault.Delay; fault.DelayMax > 0 {
		// Seeded anew for each, so that it does not matter who struck before.
		fault.Delay += Duration(rand.New(rand.NewPCG(f.seed, uint64(f.begun))).Int64N(int64(span) + 1))
	}
	return fault
}

// next returns the fault in force, or else the chosen one. The caller holds mu.
func (f *faults) next(grant string) Fault {
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
	if f.choose == nil {
		return Fault{}
	}
	fault := f.choose(f.begun, grant)
	if err := fault.validate(); err != nil {
		panic(fmt.Sprintf("choose fault: %v", err)) // a mistake in the test, which must not pass for a refusal
	}
	return fault
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

// SetChoose lets choose pick the fault of every POST that no fault of
// [Provider.SetFault] strikes; nil ends it. n is 1 for the first token POST from
// now on and counts every one, those that an Unsent keeps from arriving and
// those that another fault strikes included; grant is authorization_code,
// refresh_token or [OtherGrant]. Times and GrantType of what it returns mean
// nothing. It is called for one POST at a time and must not call the provider;
// a Fault that cannot be panics.
func (p *Provider) SetChoose(choose func(n int, grant string) Fault) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.choose = choose
	p.faults.begun = 0
}

// ClearFaults ends every fault, and what [Provider.SetChoose] set. What is
// already held stays held.
func (p *Provider) ClearFaults() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	clear(p.faults.by)
	p.faults.choose = nil
}

// Release lets every POST go that is held at this moment.
func (p *Provider) Release() {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	close(p.faults.gate)
	p.faults.gate = make(chan struct{})
}

// hold waits for the next release. It reports false if the caller's connection
// or the provider closed first; cut then edits the POST's entry, from the moment
// it is no longer held. Whoever sees Held in the ledger and releases, releases
// this one: the gate is fetched before the ledger shows it.
func (p *Provider) hold(ctx context.Context, e *Received, cut func(*Received)) bool {
	p.faults.mu.Lock()
	gate := p.faults.gate
	p.faults.mu.Unlock()
	p.storage.held(e, +1, nil)
	select {
	case <-gate:
		p.storage.held(e, -1, nil)
		return true
	case <-ctx.Done():
	case <-p.closed:
	}
	p.storage.held(e, -1, cut)
	return false
}

// wait waits for d and returns nil, or earlier an error: ctx's, or that the
// provider closed.
func wait(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-closed:
		return errClosed
	}
}
