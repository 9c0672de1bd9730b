package pause

import (
	"context"
	"time"
)

// For waits d unless ctx ends first, and tells whether it has not.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
