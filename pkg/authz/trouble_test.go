package authz

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// A store in trouble is one line in the log, however many ask, and another when it
// was well for a while.
func TestStoreTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, h := known(t, freshView)
		f.getErr = session.ErrUnavailable
		told := func() int { return strings.Count(f.log.String(), "session cannot be read or used") }
		for range 100 {
			f.do(t, get(h), raw)
			time.Sleep(time.Second)
		}
		if n := told(); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		time.Sleep(11 * time.Second)
		f.do(t, get(h), raw)
		if n := told(); n != 2 {
			t.Errorf("told %d times, want twice", n)
		}
	})
}
