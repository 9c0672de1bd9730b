package refresh_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/faultstore"
)

// lost is what the store has of s, as if a failover had lost its second revision,
// and what is remembered of that.
func (r *rig) lost(s session.Session) (left store.Record, newer *session.View) {
	r.t.Helper()
	left = r.record(s.ID)
	left.Lost, left.InDoubt = 2, true
	s.Revision, s.Token = 2, r.op.issue(60*time.Second)
	s.SweepAt = r.policy.SweepAt(s)
	return left, r.cache.View(store.NewRecord(s))
}

// TestRestore: what a failover has lost is stored again, as often as it takes and
// without a request to the provider, and the next refresh is of the newest token.
func TestRestore(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		left, newer := r.lost(s)
		r.store.Set(faultstore.Down, faultstore.Commit)
		for range 3 { // of many requests
			r.ref.Restore(left, newer)
		}
		r.pass(3 * time.Second)
		r.store.Mend()
		r.pass(2 * time.Second)
		r.wantRevision(s.ID, 2)
		if got, want := r.record(s.ID).Session.Token, newer.Session.Token; got.Refresh.Reveal() != want.Refresh.Reveal() {
			t.Error("other tokens were stored than those that are remembered")
		}
		r.wantPosts(s.ID, 0)
		if n := r.metric("bff_token_refresh_restored_total"); n != 1 {
			t.Errorf("it was stored %v times by the counter, want once", n)
		}
		r.pass(40 * time.Second)
		if v, err := r.wait(s.ID); err != nil || v.Session.Revision != 3 {
			t.Errorf("the next refresh: %v", err)
		}
	})
}

// TestRestoreComesTooLate: what others have stored meanwhile holds, and an end is an
// end.
func TestRestoreComesTooLate(t *testing.T) {
	play(t, setup{}, func(r *rig) {
		s := r.login(60 * time.Second)
		left, newer := r.lost(s)
		r.pass(50 * time.Second)
		v, err := r.wait(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		r.ref.Restore(left, newer)
		synctest.Wait()
		r.wantRevision(s.ID, 2)
		if r.record(s.ID).Session.Token.Access.Reveal() != v.Session.Token.Access.Reveal() {
			t.Error("it replaced what was stored")
		}
		if _, err := r.life.End(context.Background(), s.ID, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		r.ref.Restore(left, newer)
		synctest.Wait()
		r.wantEnded(s.ID, session.ReasonLogout)
	})
}
