package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

const flush = time.Minute

// TestAbsoluteEnd: no use goes past it, whatever the last one was.
func TestAbsoluteEnd(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		for time.Now().Before(s.EndsAt) {
			r.mustUse(s.ID)
			r.pass(30 * time.Minute)
		}
		if err := r.use(s.ID); !errors.Is(err, session.ErrEnded) {
			t.Fatalf("at the absolute end: %v, want ErrEnded", err)
		}
		r.wantEnded(s.ID, session.ReasonAbsolute)
		if n := r.metric("bff_sessions_ended_total", "absolute"); n != 1 {
			t.Errorf("counted %v", n)
		}
	})
}

// TestIdleEnd: to the nanosecond.
func TestIdleEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		unused time.Duration
		over   bool
	}{"the last moment": {idle, false}, "a moment later": {idle + 1, true}} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s := r.login()
				r.pass(tt.unused)
				err := r.use(s.ID)
				if !tt.over {
					if err != nil {
						t.Fatalf("use: %v", err)
					}
					r.wantAlive(s.ID)
					return
				}
				if !errors.Is(err, session.ErrEnded) {
					t.Fatalf("use: %v, want ErrEnded", err)
				}
				r.wantEnded(s.ID, session.ReasonIdle)
				if n := r.metric("bff_sessions_ended_total", "idle"); n != 1 {
					t.Errorf("counted %v", n)
				}
			})
		})
	}
}

// TestIdleAsksTheStore: another replica has served the user all the time.
func TestIdleAsksTheStore(t *testing.T) {
	play(t, func(r *rig) {
		other := newRig(t, r.mem)
		defer other.close()
		s := r.login()
		old := r.view(s.ID)
		r.pass(50 * time.Minute)
		other.mustUse(s.ID)
		other.pass(flush)
		if err := other.life.Close(context.Background()); err != nil { // flushes
			t.Fatal(err)
		}
		r.pass(40 * time.Minute)
		if err := r.life.Use(context.Background(), old, time.Now()); err != nil {
			t.Fatalf("use: %v", err)
		}
		r.wantAlive(s.ID)
		if n := r.store.Calls(faultstore.End); n != 0 {
			t.Errorf("tried %d times to end a session in use", n)
		}
	})
}

// TestIdleWithoutTheStore: nobody is thrown out, and nobody served, on what
// could not be read or written.
func TestIdleWithoutTheStore(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]faultstore.Op{"cannot read": faultstore.Get, "cannot end": faultstore.End} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s := r.login()
				v := r.view(s.ID)
				r.pass(idle + time.Second)
				r.store.Set(faultstore.Down, op)
				err := r.life.Use(context.Background(), v, time.Now())
				if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrEnded) {
					t.Fatalf("use: %v, want ErrUnavailable", err)
				}
				r.store.Mend()
				r.wantAlive(s.ID)
			})
		})
	}
}

// TestUsedWhileItWasBeingEnded: the other replica's use arrives between our
// look and our End, whose condition saves the session.
func TestUsedWhileItWasBeingEnded(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		v := r.view(s.ID)
		r.pass(idle + time.Second)
		gate := faultstore.NewGate()
		r.store.Set(gate.Before, faultstore.End)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := r.life.Use(context.Background(), v, time.Now()); err != nil {
				t.Errorf("use: %v", err)
			}
		})
		synctest.Wait()
		if err := r.mem.Touch(context.Background(), map[session.ID]time.Time{s.ID: time.Now()}); err != nil {
			t.Fatal(err)
		}
		gate.Open()
		wg.Wait()
		r.wantAlive(s.ID)
	})
}

// TestUseIsKeptInProcess: no write a request; one batch a minute, with the
// newest use of each session, and none when there is nothing to say.
func TestUseIsKeptInProcess(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		var all []session.Session
		for range 300 {
			all = append(all, r.login())
		}
		r.pass(flush + time.Second) // the logins' own uses are flushed
		before, changed := r.store.Calls(faultstore.Touch), r.changed()
		for range 40 {
			for _, s := range all {
				r.mustUse(s.ID)
			}
			r.pass(time.Second)
		}
		newest := time.Now().Add(-time.Second)
		if n := r.store.Calls(faultstore.Touch) - before; n != 0 {
			t.Fatalf("%d writes for 12000 uses within one flush period", n)
		}
		r.pass(20 * time.Second)
		if n := r.store.Calls(faultstore.Touch) - before; n != 1 {
			t.Errorf("%d batches, want one", n)
		}
		for _, s := range all {
			if got := r.used(s.ID); !got.Equal(newest) {
				t.Fatalf("the store knows a use at %v, want %v", got, newest)
			}
		}
		if r.changed() == changed {
			t.Error("the sweep was not told that parked sessions may be back")
		}
		r.pass(10 * time.Minute)
		if n := r.store.Calls(faultstore.Touch) - before; n != 1 {
			t.Errorf("%d batches, want none without a use", n-1)
		}
	})
}

// TestUseOnceASecond: a burst is one use.
func TestUseOnceASecond(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		r.pass(10 * time.Second)
		first := time.Now()
		for range 9 {
			r.mustUse(s.ID)
			r.pass(100 * time.Millisecond)
		}
		if err := r.life.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := r.used(s.ID); !got.Equal(first) {
			t.Errorf("the store knows a use at %v, want the burst's first %v", got, first)
		}
	})
}

// TestFailedFlushKeepsTheUses: and nobody is reaped on uses that were not written.
func TestFailedFlushKeepsTheUses(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		s := r.login()
		r.pass(50 * time.Minute)
		r.mustUse(s.ID)
		used := time.Now()
		r.store.Set(faultstore.Down, faultstore.Touch)
		r.pass(20 * time.Minute) // past the idle end as the store knows it
		if n := r.store.Calls(faultstore.Reap); n > 50 {
			t.Errorf("reaped %d times: also behind a flush that failed", n)
		}
		r.wantAlive(s.ID)
		r.store.Mend()
		r.pass(flush)
		if got := r.used(s.ID); !got.Equal(used) {
			t.Errorf("the store knows a use at %v, want %v", got, used)
		}
		r.wantAlive(s.ID)
	})
}

// TestUseDuringAFlush: what comes while a batch is being written is of the next.
func TestUseDuringAFlush(t *testing.T) {
	play(t, func(r *rig) {
		r.run()
		s := r.login()
		gate := faultstore.NewGate()
		r.store.Set(gate.After, faultstore.Touch)
		r.pass(flush + 2*time.Second) // the batch is held
		r.mustUse(s.ID)
		used := time.Now()
		gate.Open()
		r.pass(flush)
		if got := r.used(s.ID); !got.Equal(used) {
			t.Errorf("the store knows a use at %v, want %v", got, used)
		}
	})
}

// TestUseNearTheIdleEndIsWrittenAtOnce: a flush may come too late for another
// reader, so the store knows before the request is answered.
func TestUseNearTheIdleEndIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		unused time.Duration
		once   bool
	}{
		"early":                    {idle - 2*flush, false},
		"within two flush periods": {idle - 2*flush + time.Second, true},
		"at the end":               {idle, true},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(r *rig) {
				s := r.login()
				r.pass(tt.unused)
				changed := r.changed()
				r.mustUse(s.ID)
				if got := r.used(s.ID).Equal(time.Now()); got != tt.once {
					t.Errorf("written at once: %v, want %v", got, tt.once)
				}
				if tt.once && r.changed() == changed {
					t.Error("the sweep was not told that a parked session is back")
				}
				before := r.store.Calls(faultstore.Touch)
				for range 10 { // one write will do
					r.mustUse(s.ID)
					r.pass(2 * time.Second)
				}
				if n := r.store.Calls(faultstore.Touch) - before; n != 0 {
					t.Errorf("%d more writes", n)
				}
			})
		})
	}
}

// TestUseNearTheIdleEndThatCannotBeWritten: the request is not served, and the
// next one is not either until the store knows.
func TestUseNearTheIdleEndThatCannotBeWritten(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		r.pass(idle - time.Second)
		r.store.Set(faultstore.Down, faultstore.Touch)
		for i := range 3 {
			if err := r.use(s.ID); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("request %d: %v, want ErrUnavailable", i+1, err)
			}
			r.pass(100 * time.Millisecond)
		}
		r.store.Mend()
		r.mustUse(s.ID)
		if got := r.used(s.ID); !got.Equal(time.Now()) {
			t.Errorf("the store knows a use at %v, want now", got)
		}
	})
}

// TestClockSteppedBack: a use in the past changes nothing and ends nothing.
func TestClockSteppedBack(t *testing.T) {
	play(t, func(r *rig) {
		s := r.login()
		r.pass(30 * time.Minute)
		r.mustUse(s.ID)
		latest := time.Now()
		if err := r.life.Use(context.Background(), r.view(s.ID), latest.Add(-2*idle)); err != nil {
			t.Fatal(err)
		}
		if err := r.life.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := r.used(s.ID); !got.Equal(latest) {
			t.Errorf("the store knows a use at %v, want %v", got, latest)
		}
	})
}

// TestActive: who was used since, and how long their access tokens live.
func TestActive(t *testing.T) {
	play(t, func(r *rig) {
		if n, mean, least := r.life.Active(time.Now()); n != 0 || mean != 0 || least != 0 {
			t.Errorf("of nobody: %d, %v, %v", n, mean, least)
		}
		old := r.login() // ten minutes, as all of them
		r.pass(20 * time.Minute)
		short := r.newSession()
		short.Token.Lifetime = 20 * time.Minute
		if err := r.life.Create(context.Background(), short); err != nil {
			t.Fatal(err)
		}
		r.login()
		if n, mean, least := r.life.Active(time.Now().Add(-10 * time.Minute)); n != 2 || mean != 15*time.Minute || least != 10*time.Minute {
			t.Errorf("of the last ten minutes: %d, %v, %v", n, mean, least)
		}
		r.mustUse(old.ID)
		if n, _, _ := r.life.Active(time.Now().Add(-10 * time.Minute)); n != 3 {
			t.Errorf("after a use: %d", n)
		}
		if _, err := r.life.End(context.Background(), old.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := r.life.Active(time.Now().Add(-10 * time.Minute)); n != 2 {
			t.Errorf("after an end: %d", n)
		}
	})
}
