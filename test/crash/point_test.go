//go:build crash

package crash

import (
	"os"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

// certainty is what is known of a round before it is looked at.
type certainty int

const (
	no certainty = iota
	yes
	either
)

func (c certainty) allows(b bool) bool { return c == either || (c == yes) == b }

// point is a moment of a refresh at which the process is killed. The three that
// the provider brings about kill the shipped binary, the others one that has
// them built in.
type point struct {
	name   string
	inside bool // of pkg/app/crash.go
	// arm sees to it that the process dies in the refresh that follows; disarm
	// ends that after the death. n counts the rounds.
	arm func(w *world, n int) (disarm func())

	intent   func(n int) certainty // the store has the intent, still open
	consumed func(n int) certainty // the provider has taken the refresh token
	stored   func(n int) certainty // the store has the new one
}

func always(c certainty) func(int) certainty { return func(int) certainty { return c } }

// even is no in even rounds and yes in odd ones.
func even(n int) certainty { return certainty(n % 2) }

func points() []point {
	return []point{
		{
			name: "before the intent", inside: true, arm: builtIn("before begin"),
			intent: always(no), consumed: always(no), stored: always(no),
		},
		{
			// Every other request is read all the same: it had left before its sender died.
			name: "before the provider reads the request", arm: beforeRead,
			intent: always(yes), consumed: even, stored: always(no),
		},
		{
			name: "while the provider holds the request", arm: whileHeld,
			intent: always(yes), consumed: always(no), stored: always(no),
		},
		{
			name: "after the answer", arm: afterAnswer,
			intent: always(either), consumed: always(yes), stored: always(either),
		},
		{
			name: "before the commit", inside: true, arm: builtIn("before commit"),
			intent: always(yes), consumed: always(yes), stored: always(no),
		},
		{
			name: "after the commit", inside: true, arm: builtIn("after commit"),
			intent: always(no), consumed: always(yes), stored: always(yes),
		},
	}
}

func beforeRead(w *world, n int) func() {
	at := arrived
	if even(n) == yes {
		at = read
	}
	w.wire.arm(at, w.s.Lamplighter.Kill)
	return func() {}
}

// afterAnswer kills a little later each time, so that the kill moves over what
// the process does with the answer: it checks an id_token, and stores.
func afterAnswer(w *world, n int) func() {
	w.wire.arm(answered, func() {
		w.killers.Go(func() { // beside the connection, which the keys may be asked for on
			time.Sleep(time.Duration(n%batch) * 100 * time.Microsecond)
			w.s.Lamplighter.Kill()
		})
	})
	return w.killers.Wait
}

func whileHeld(w *world, _ int) func() {
	w.fault(op.Fault{HoldBefore: true})
	w.killers.Go(func() {
		for w.s.OP.Ledger().Held == 0 {
			select {
			case <-w.t.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
		w.s.Lamplighter.Kill()
	})
	return func() {
		w.killers.Wait()
		w.until("the provider drops the request of the dead process", func() bool { return w.s.OP.Ledger().Held == 0 })
		w.s.OP.ClearFaults()
	}
}

// builtIn names the point in a file that the process looks at.
func builtIn(name string) func(*world, int) func() {
	return func(w *world, _ int) func() {
		if err := os.WriteFile(w.crashFile, []byte(name), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return func() {
			if err := os.Remove(w.crashFile); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}
