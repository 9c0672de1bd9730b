//go:build crash

package crash

import (
	"strings"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

// nobodyEnded asserts on the counters of the process that runs: so many sessions
// ended of a lost answer, and none of anything else.
func (w *world) nobodyEnded(butLost int) {
	w.t.Helper()
	for _, why := range session.Reasons() {
		want := 0
		if why == session.ReasonLostAnswer {
			want = butLost
		}
		if got := w.s.Lamplighter.Metric(`bff_sessions_ended_total{reason="` + string(why) + `"}`); got != float64(want) {
			w.t.Errorf("%v sessions are counted as ended for %s, want %d", got, why, want)
		}
	}
}

// verdict is what users, operators and counters say of a batch: who has lost an
// answer of a provider that does not forgive has lost the session, and nobody
// else has.
func (w *world) verdict(users []*user) {
	w.t.Helper()
	ended := 0
	for _, u := range users {
		loggedOut := u.lost && !w.provider.forgives
		if loggedOut {
			ended++
		}
		if served := w.fetch(u); served == loggedOut {
			w.t.Errorf("the user of %s is served: %v, lost an answer: %v", u.family, served, u.lost)
		}
		code, said, _ := w.s.Lamplighter.Command("sessions", "--admin", w.s.Lamplighter.Admin, "show", u.name)
		line, _, _ := strings.Cut(said, "\n")
		if told := strings.Contains(line, " ended ") && strings.HasSuffix(line, "(lost_answer)"); code != 0 || told != loggedOut || !told && !strings.HasPrefix(line, u.name+" is alive") {
			w.t.Errorf("operators are told %q of %s, lost an answer: %v", line, u.family, u.lost)
		}
	}
	w.nobodyEnded(ended)
	for _, u := range users {
		if u.lost && !w.provider.forgives {
			continue
		}
		// Whoever lives has the token that is good.
		if err := w.force(u, w.session(u).Revision); err != nil {
			w.t.Errorf("one more refresh of %s: %v", u.family, err)
		}
	}
}

// books is the provider's view of all rounds.
func (w *world) books() {
	w.t.Helper()
	l, lost := w.s.OP.Ledger(), w.lost()
	revoked := 0
	if !w.provider.forgives {
		revoked = lost
	}
	if l.ConsumedTwice != lost || l.Revoked != revoked || l.RevokedBy[op.ReasonReuse] != revoked || l.Logins != len(w.users) || l.ActiveFamilies != len(w.users)-revoked {
		w.t.Errorf("of %d answers lost: %d generations came back, revoked by reason: %v, %d logins of %d users, %d families live",
			lost, l.ConsumedTwice, l.RevokedBy, l.Logins, len(w.users), l.ActiveFamilies)
	}
	if w.provider.forgives && (l.Forgiven != lost || l.Reuse != lost) {
		w.t.Errorf("of %d answers lost, %d were asked for again, %d forgiven", lost, l.Reuse, l.Forgiven)
	}
	for _, u := range w.users {
		w.replays(u)
	}
}

// replays holds what came back of u's family to the profile's policy. With grace
// it is one replay. Without, it is one when half of what is left of the token at
// the planned refresh is over, of which nobody can lose anything before expiry,
// and one past expiry, which decides.
func (w *world) replays(u *user) {
	w.t.Helper()
	if !u.lost {
		return
	}
	came := w.reusesOf(u)
	most := 2
	if w.provider.forgives {
		most = 1
	}
	if len(came) < 1 || len(came) > most {
		w.t.Errorf("the lost answer of %s was asked for %d times, want 1 to %d", u.family, len(came), most)
		return
	}
	if w.provider.forgives {
		return
	}
	for i, e := range came {
		earliest := w.provider.life * 5 / 6
		if i > 0 {
			earliest = w.provider.life
		}
		if after := e.Time.Sub(u.begun); after < earliest || e.Generation != 1 {
			w.t.Errorf("generation %d of %s came back after %v, want the first no earlier than %v", e.Generation, u.family, after, earliest)
		}
	}
}
