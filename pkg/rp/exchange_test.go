package rp

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// What is remembered of used states and codes goes when their cookies have gone.
func TestUsedStatesAreForgotten(t *testing.T) {
	t.Parallel()
	var e exchanges
	key := func(kind string, i int) digest { return sha256.Sum256(fmt.Append(nil, kind, i)) }
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 1000 {
		x, first := e.join(key("state", i), key("code", i), now)
		if x == nil || !first {
			t.Fatalf("exchange %d cannot run", i)
		}
		x.sent = i%2 == 0
		e.finish(x, now)
		if again, _ := e.join(key("state", i), key("code", i), now); (again == nil) != x.sent {
			t.Fatalf("exchange %d, sent %v, may run again: %v", i, x.sent, again != nil)
		} else if again != nil {
			e.finish(again, now)
		}
		now = now.Add(time.Second)
	}
	if got := len(e.used); got != 600 { // 300 exchanges of the last 600 s, with state and code
		t.Errorf("%d states and codes are remembered", got)
	}
	x, _ := e.join(key("state", -1), key("code", -1), now.Add(usedTime))
	e.finish(x, now)
	if len(e.used)+len(e.inOrder)+len(e.running) != 0 {
		t.Errorf("left: %d used, %d in order, %d running", len(e.used), len(e.inOrder), len(e.running))
	}
}
