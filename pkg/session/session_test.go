package session_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"pgregory.net/rapid"
)

func TestSecretsRedactThemselves(t *testing.T) {
	const canary = "canary-1234567890"
	s := session.Session{Token: session.Token{
		Access:  session.AccessToken{Secret: session.NewSecret(canary)},
		Refresh: session.RefreshToken{Secret: session.NewSecret(canary)},
		ID:      session.IDToken{Secret: session.NewSecret(canary)},
	}}
	h := session.NewHandle()
	foreign := struct {
		token  session.Secret
		handle session.Handle
		nested *session.Handle
	}{s.Token.Access.Secret, h, &h}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "t", s.Token.Access, "p", &s.Token, "h", h)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "t", s.Token.Access, "p", &s.Token, "h", h)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&log, strings.Repeat(verb+" ", 6)+"\n", s, &s, s.Token.Refresh, h, foreign, &foreign)
	}
	if b, err := json.Marshal(s); err == nil {
		t.Errorf("json.Marshal of a session: want a refusal, got %s", b)
	}
	for _, secret := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), h.Reveal()} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("a secret was printed: %s", log.String())
		}
	}
}

func TestHandleAcceptsExactlyItsOwnForm(t *testing.T) {
	h := session.NewHandle()
	back, err := session.ParseHandle(h.Reveal())
	if err != nil || back.ID() != h.ID() {
		t.Fatalf("ParseHandle(own form): %v", err)
	}
	ok := h.Reveal()
	for name, bad := range map[string]string{
		"empty": "", "short": ok[1:], "long": ok + "A", "padded": ok[:42] + "=", "alphabet": ok[:42] + "+",
		"newline": strings.Repeat("A", 42) + "\n", "newlines": "\r\n" + strings.Repeat("A", 41), "second encoding of the same bytes": strings.Repeat("A", 42) + "B",
	} {
		if _, err := session.ParseHandle(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func newSession(life time.Duration) session.Session {
	return session.Session{
		ID: session.NewHandle().ID(), Revision: 1,
		Token: session.Token{
			Refresh: session.RefreshToken{Secret: session.NewSecret("r")},
			Issued:  time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Lifetime: life,
		},
	}
}

// The numbers are those of the formula at Window, worked by hand.
func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		life, threshold time.Duration
		a, m, spread    time.Duration
	}{
		{10 * time.Second, 300 * time.Second, 3333333333, time.Second, 1666666666},
		{60 * time.Second, 300 * time.Second, 20 * time.Second, 5 * time.Second, 10 * time.Second},
		{5 * time.Minute, 300 * time.Second, 100 * time.Second, 5 * time.Second, 50 * time.Second},
		{time.Hour, 300 * time.Second, 300 * time.Second, 5 * time.Second, 10 * time.Minute},
		{time.Hour, 4 * time.Second, 4 * time.Second, 2 * time.Second, 10 * time.Minute},
		{24 * time.Hour, 300 * time.Second, 300 * time.Second, 5 * time.Second, 10 * time.Minute},
	} {
		s := newSession(tt.life)
		p := session.Policy{Threshold: tt.threshold}
		w, exp := p.Window(s), s.Token.Exp()
		want := session.Window{From: s.Token.Issued, DueAt: exp.Add(-tt.a), ExpiredAt: exp.Add(-tt.m), Exp: exp, Spread: tt.spread}
		if w != want {
			t.Errorf("L=%v threshold=%v: got %+v, want %+v", tt.life, tt.threshold, w, want)
		}
		for _, at := range []struct {
			now  time.Time
			want session.Freshness
		}{
			{w.From.Add(-time.Minute - 1), session.Expired}, {w.From.Add(-time.Minute), session.Fresh}, // a clock that stepped back
			{w.DueAt.Add(-1), session.Fresh}, {w.DueAt, session.Due},
			{w.ExpiredAt.Add(-1), session.Due}, {w.ExpiredAt, session.Expired},
		} {
			if got := w.Freshness(at.now); got != at.want {
				t.Errorf("L=%v at %v: %v, want %v", tt.life, at.now, got, at.want)
			}
		}
	}
}

func TestWindowInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSession(time.Duration(rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "life")))
		s.Revision = session.Revision(rapid.Uint64Range(1, 1000).Draw(t, "rev"))
		p := session.Policy{Threshold: time.Duration(rapid.Int64Range(int64(time.Second), int64(48*time.Hour)).Draw(t, "threshold"))}
		w := p.Window(s)
		if !s.Token.Issued.Before(w.DueAt) || !w.DueAt.Before(w.ExpiredAt) || w.ExpiredAt.After(w.Exp) {
			t.Fatalf("order of the window: %+v", w)
		}
		at := p.SweepAt(s)
		if s.Token.Lifetime < session.MinSweptLifetime {
			if !at.IsZero() {
				t.Fatalf("a lifetime of %v is swept", s.Token.Lifetime)
			}
			return
		}
		if at.After(w.DueAt) || at.Before(w.DueAt.Add(-w.Spread)) {
			t.Fatalf("SweepAt %v outside [%v, %v]", at, w.DueAt.Add(-w.Spread), w.DueAt)
		}
	})
}

func TestWithoutRefreshTokenNothingIsDue(t *testing.T) {
	s := newSession(time.Minute)
	s.Token.Refresh = session.RefreshToken{}
	p := session.Policy{Threshold: time.Minute}
	w := p.Window(s)
	if got := w.Freshness(s.Token.Exp().Add(-1)); got != session.Fresh {
		t.Errorf("just before exp: %v, want fresh", got)
	}
	if got := w.Freshness(s.Token.Exp()); got != session.Expired {
		t.Errorf("at exp: %v, want expired", got)
	}
	if at := p.SweepAt(s); !at.IsZero() {
		t.Errorf("swept at %v, want never", at)
	}
}

// A weak mix would refresh sessions of one login burst together for ever.
func TestSweepSpreadIsUniform(t *testing.T) {
	p := session.Policy{Threshold: 300 * time.Second}
	const n, buckets = 20000, 20
	var byID, byRev [buckets]int
	one := newSession(time.Hour)
	for i := range n {
		for b, s := range map[*[buckets]int]session.Session{&byID: newSession(time.Hour), &byRev: one} {
			if b == &byRev {
				s.Revision = session.Revision(i + 1)
			}
			w := p.Window(s)
			b[int(float64(buckets)*float64(w.DueAt.Sub(p.SweepAt(s)))/float64(w.Spread+1))]++
		}
	}
	for _, counts := range [][buckets]int{byID, byRev} {
		for i, c := range counts { // 1000 ± 6 standard deviations
			if math.Abs(float64(c)-n/buckets) > 6*math.Sqrt(n/buckets) {
				t.Errorf("bucket %d of %v holds %d, want about %d", i, counts, c, n/buckets)
			}
		}
	}
}

func TestRenew(t *testing.T) {
	old := newSession(time.Minute)
	old.EndsAt = old.Token.Issued.Add(8 * time.Hour)
	old.Token.ID = session.IDToken{Secret: session.NewSecret("id1")}
	old.Identity = session.Identity{Subject: "u", SID: "sid", AuthTime: old.Token.Issued, Email: "old", Name: "Old", Claims: map[string]string{"groups": "staff"}}
	p := session.Policy{Threshold: time.Minute}
	t0 := old.Token.Issued.Add(40 * time.Second)
	g := session.Grant{Access: session.AccessToken{Secret: session.NewSecret("a2")}, Issued: t0, Lifetime: 30 * time.Second}

	next := old.Renew(g, p)
	if next.Revision != 2 || next.Token.Access.Reveal() != "a2" || next.Token.Refresh.Reveal() != "r" ||
		next.Token.ID.Reveal() != "id1" || next.Identity.Email != "old" || !next.EndsAt.Equal(old.EndsAt) || !next.Token.Exp().Equal(t0.Add(30*time.Second)) {
		t.Errorf("a bare answer keeps the rest: %+v", next)
	}
	if want := p.SweepAt(next); !next.SweepAt.Equal(want) || next.SweepAt.IsZero() {
		t.Errorf("SweepAt %v, want %v", next.SweepAt, want)
	}
	g.Refresh = session.RefreshToken{Secret: session.NewSecret("r2")}
	g.ID = session.IDToken{Secret: session.NewSecret("id2")}
	g.Identity = session.Identity{Subject: "u", Email: "new"}
	next = old.Renew(g, p)
	if next.Token.Refresh.Reveal() != "r2" || next.Token.ID.Reveal() != "id2" || next.Identity.Email != "new" ||
		next.Identity.SID != "sid" || !next.Identity.AuthTime.Equal(old.Identity.AuthTime) {
		t.Errorf("a full answer replaces, auth_time and sid stay: %+v", next)
	}
	g.Identity = session.Identity{Subject: "u", Name: "New"}
	next = old.Renew(g, p)
	if next.Identity.Email != "old" || next.Identity.Name != "New" || next.Identity.Claims != nil {
		t.Errorf("an ID Token that says less leaves the rest of who the user is, and gives no group: %+v", next.Identity)
	}
}

func TestLifetime(t *testing.T) {
	for _, tt := range []struct {
		in   float64
		want time.Duration
		ok   bool
	}{
		{60, time.Minute, true}, {3600.9, time.Hour, true}, {1e10, session.MaxLifetime, true}, {1e300, session.MaxLifetime, true},
		{math.Inf(1), session.MaxLifetime, true}, {0, 0, false}, {0.5, 0, false}, {-3, 0, false}, {math.NaN(), 0, false}, {math.Inf(-1), 0, false},
	} {
		if got, ok := session.Lifetime(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("Lifetime(%v) = %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}
