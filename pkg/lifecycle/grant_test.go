package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// TestSharedGrant: where all sessions of a user stand on one grant, the last one
// revokes it; a store that cannot tell keeps it.
func TestSharedGrant(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		shared, storeDown bool
		want              [2]int // revocations after the first end, and after the second
	}{
		"a grant each":         {false, false, [2]int{1, 2}},
		"one grant":            {true, false, [2]int{0, 1}},
		"one, and nobody says": {true, true, [2]int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mem := memstore.New()
				faulty := faultstore.New(mem)
				r := newRigOver(t, mem, faulty, faulty, func(o *lifecycle.Options) { o.SharedGrant = tt.shared })
				defer r.close()
				if tt.storeDown {
					faulty.Set(faultstore.Down, faultstore.Find)
				}
				for i, s := range []session.Session{r.login(), r.login()} { // of one user
					if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if got := len(r.revoker.seen()); got != tt.want[i] {
						t.Errorf("%d revocations after %d ends, want %d", got, i+1, tt.want[i])
					}
				}
			})
		})
	}
}

// TestNobodyIsIdleAfterAStart: for ten minutes, since nobody could use a session
// while we were down; and no longer.
func TestNobodyIsIdleAfterAStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		comes time.Duration // after the start
		alive bool
	}{
		"at once":              {0, true},
		"in nine minutes":      {9 * time.Minute, true},
		"after eleven minutes": {11 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(before *rig) {
				s := before.login()
				before.pass(2 * idle)
				r := newRig(t, before.mem.Restarted())
				defer r.close()
				r.run()
				r.pass(tt.comes)
				if _, err := r.life.Get(context.Background(), s.ID); (err == nil) != tt.alive {
					t.Errorf("read: %v", err)
				}
				if !tt.alive {
					r.wantEnded(s.ID, session.ReasonIdle)
					return
				}
				r.mustUse(s.ID)
				r.pass(idle - time.Minute) // the use counts from now on
				r.mustUse(s.ID)
				r.pass(idle + 2*time.Minute)
				if err := r.life.Use(context.Background(), before.view(s.ID), time.Now()); !errors.Is(err, session.ErrEnded) {
					t.Errorf("idle since: %v, want ErrEnded", err)
				}
			})
		})
	}
}

// TestUsedWhileItWasBeingReaped: the other replica's use arrives between the
// reaper's list and its End, whose condition saves the session.
func TestUsedWhileItWasBeingReaped(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		gate := faultstore.NewGate()
		r.store.Set(gate.Before, faultstore.End)
		r.run()
		r.pass(idle + flush)
		if n := r.store.Calls(faultstore.End); n != 1 {
			t.Fatalf("%d calls to End, want the reaper's", n)
		}
		if err := r.mem.Touch(context.Background(), map[session.ID]time.Time{s.ID: time.Now()}); err != nil {
			t.Fatal(err)
		}
		gate.Open()
		synctest.Wait()
		r.wantAlive(s.ID)
	})
}
