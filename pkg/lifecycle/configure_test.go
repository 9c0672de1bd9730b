package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// A longer idle time holds at once, also for who would have been over.
func TestLongerIdle(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		s := r.login()
		r.pass(idle - flush/2)
		r.life.Configure(lifecycle.Settings{Idle: 2 * idle})
		r.pass(idle)
		r.mustUse(s.ID)
		r.pass(2*idle + 2*flush)
		r.wantEnded(s.ID, session.ReasonIdle)
	})
}

// A shorter idle time ends nobody for a use that another replica has yet to tell the
// store of; it ends who really is idle, soon.
func TestShorterIdle(t *testing.T) {
	play(t, func(r *rig) {
		const short = 5 * time.Minute
		other := newRig(t, r.mem)
		defer other.close()
		r.run()
		other.run()
		used, idler := r.login(), r.login()
		r.pass(40*time.Minute + flush/2)
		other.mustUse(used.ID)
		if !r.used(used.ID).Before(time.Now().Add(-short)) {
			t.Fatal("the store knows of the use: there is nothing to see")
		}
		r.life.Configure(lifecycle.Settings{Idle: short})
		if err := r.use(used.ID); err != nil {
			t.Errorf("a session in use: %v", err)
		}
		other.life.Configure(lifecycle.Settings{Idle: short})
		r.pass(2 * flush)
		r.life.Configure(lifecycle.Settings{Idle: short}) // a change of something else
		r.pass(short - 3*flush)
		r.mustUse(used.ID)
		r.pass(flush + 1)
		if err := r.use(idler.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("an idle session: %v", err)
		}
		r.mustUse(used.ID)
		r.pass(short + 2*flush)
		r.wantEnded(used.ID, session.ReasonIdle)
	})
}
