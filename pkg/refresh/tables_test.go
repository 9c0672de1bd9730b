package refresh_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"pgregory.net/rapid"
)

// The window of the tables: a minute's token, due at 40 s, expired at 55 s.
var (
	issued = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	minute = session.Window{DueAt: at(40), ExpiredAt: at(55), Exp: at(60), Spread: 10 * time.Second}
)

func at(seconds float64) time.Time {
	return issued.Add(time.Duration(seconds * float64(time.Second)))
}

// TestEffectOf is the table Class → effect, whole: every class but the success,
// on a first attempt and on a replay, before the token's end, at it and behind
// it, under every profile and every replay policy. wait is 2 s, and NotBefore is
// now + 2 s throughout.
func TestEffectOf(t *testing.T) {
	t.Parallel()
	ends := func(why session.Reason) [3]outcome { return [3]outcome{{end: why}, {end: why}, {end: why}} }
	// The token was not taken: the session stays as it was, a replay is to be had at NotBefore.
	untouched := [3]outcome{{replay: at(44)}, {replay: at(62)}, {replay: at(92)}}
	table := []effectRow{
		{session.Transient, false, false, untouched},
		{session.Transient, false, true, untouched},
		{session.Transient, true, false, untouched},
		{session.Transient, true, true, untouched},
		{session.Misconfigured, true, false, untouched},
		{session.Misconfigured, true, true, untouched},
		{session.Refused, true, false, untouched},
		{session.Refused, true, true, untouched},
		// A verdict ends; on a replay only when the token is over.
		{session.Dead, true, false, ends(session.ReasonDead)},
		{session.Dead, true, true, [3]outcome{{replay: at(60)}, {end: session.ReasonLostAnswer}, {end: session.ReasonLostAnswer}}},
		{session.Foreign, true, false, ends(session.ReasonForeign)},
		{session.Foreign, true, true, ends(session.ReasonForeign)},
	}
	soon := [3]outcome{{replay: at(42.5)}, {replay: at(60.5)}, {replay: at(90.5)}}
	afterExpiry := [3]outcome{{replay: at(60)}, {replay: at(62)}, {replay: at(92)}}
	inDoubt := func(first, again [3]outcome) []effectRow {
		return []effectRow{{session.Unknown, true, false, first}, {session.Unknown, true, true, again}}
	}
	// One replay half-way between the plan and the end (50 s), then none before the end.
	late := inDoubt([3]outcome{{replay: at(50)}, {replay: at(62)}, {replay: at(92)}}, afterExpiry)
	graceful := inDoubt(soon, afterExpiry) // whatever grace there was is over at the second try
	always := inDoubt(soon, soon)          // nothing is lost by asking
	never := inDoubt([3]outcome{{replay: at(60)}, {end: session.ReasonInDoubt}, {end: session.ReasonInDoubt}},
		[3]outcome{{replay: at(60)}, {end: session.ReasonInDoubt}, {end: session.ReasonInDoubt}})
	unknown := map[string][]effectRow{
		"generic": late, "keycloak": late, "auth0": late, "oidc-provider": late,
		"okta": graceful, "cognito": graceful, "dex": graceful,
		"entra": always, "google": always, "hydra": always, "zitadel": always,
		"never": never,
	}
	nows := [3]time.Time{at(42), at(60), at(90)}
	for _, p := range append(session.Profiles(), session.Profile{Name: "never", Replay: session.ReplayNever, Grace: session.Forever, EndsAccess: true}) {
		rows := slices.Concat(table, unknown[p.Name])
		for _, row := range rows {
			for i, now := range nows {
				row.check(t, p, i, now)
			}
		}
		for _, c := range session.Classes() { // a new class or profile must not slip through
			for _, replay := range []bool{false, true} {
				if c != session.Renewed && !slices.ContainsFunc(rows, func(r effectRow) bool { return r.class == c && r.replay == replay }) {
					t.Errorf("%s: no row for class %v, replay %v", p.Name, c, replay)
				}
			}
		}
		delete(unknown, p.Name)
	}
	if len(unknown) > 0 {
		t.Errorf("rows for no profile: %v", unknown)
	}
}

func (row effectRow) check(t *testing.T, p session.Profile, i int, now time.Time) {
	t.Helper()
	want, when := row.want[i], now.Sub(issued)
	end, f := refresh.EffectOf(p, session.Answer{Class: row.class, Sent: row.sent}, store.Attempt{InDoubt: row.replay}, minute, now, 2*time.Second)
	wantFailure := session.Failure{Class: row.class, Sent: row.sent, NotBefore: now.Add(2 * time.Second), ReplayAt: want.replay}
	if want.end != "" {
		wantFailure = session.Failure{}
	}
	if end != want.end || f != wantFailure {
		t.Errorf("%s: %v, replay %v, %v: end %q, %+v, want %q, %+v", p.Name, row.class, row.replay, when, end, f, want.end, wantFailure)
	}
}

type effectRow struct {
	class  session.Class
	sent   bool
	replay bool       // the attempt was in doubt
	want   [3]outcome // before the end, at it, behind it
}

type outcome struct {
	end    session.Reason
	replay time.Time
}

func TestBackoffBound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		k    int
		left time.Duration // of the access token
		want time.Duration
	}{
		{1, time.Hour, time.Second},
		{2, time.Hour, 2 * time.Second},
		{3, time.Hour, 4 * time.Second},
		{6, time.Hour, 32 * time.Second},
		{7, time.Hour, time.Minute}, // 64 s, over the longest wait
		{8, time.Hour, time.Minute},
		{1 << 40, time.Hour, time.Minute}, // and no overflow
		{5, 40 * time.Second, 10 * time.Second},
		{5, 4 * time.Second, time.Second},
		{5, 2 * time.Second, time.Second}, // a quarter would be half a second
		{5, time.Nanosecond, time.Second},
		{1, 0, time.Second}, // expired
		{3, 0, 4 * time.Second},
		{4, 0, 5 * time.Second},
		{9, -time.Hour, 5 * time.Second},
		{0, time.Hour, time.Second}, // no such failure, no such panic
		{-3, time.Hour, time.Second},
	} {
		if got := refresh.BackoffBound(tt.k, issued, issued.Add(tt.left)); got != tt.want {
			t.Errorf("failure %d, %v left: %v, want %v", tt.k, tt.left, got, tt.want)
		}
	}
}

// TestBackoffProperties: within (d/2, d], never short of a quarter second, never
// past the token's end by more than a second unless it is over, and growing.
func TestBackoffProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 1<<20).Draw(t, "k")
		left := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(24*time.Hour)).Draw(t, "left"))
		exp := issued.Add(left)
		d, wait := refresh.BackoffBound(k, issued, exp), refresh.Backoff(k, issued, exp)
		switch {
		case wait > d || wait <= d/2:
			t.Fatalf("waits %v of %v", wait, d)
		case d < time.Second || d > time.Minute:
			t.Fatalf("bound %v", d)
		case left > 0 && d > max(time.Second, left/4):
			t.Fatalf("bound %v with %v left", d, left)
		case left <= 0 && d > 5*time.Second:
			t.Fatalf("bound %v behind the end", d)
		case refresh.BackoffBound(k+1, issued, exp) < d:
			t.Fatalf("failure %d waits less than failure %d", k+1, k)
		}
	})
}

// TestBackoffIsSpread: sessions that failed together come back apart.
func TestBackoffIsSpread(t *testing.T) {
	t.Parallel()
	exp := issued.Add(time.Hour)
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		wait := refresh.Backoff(5, issued, exp) // 16 s
		low, high = min(low, wait), max(high, wait)
	}
	if low > 9*time.Second || high < 15*time.Second {
		t.Errorf("1000 waits lie between %v and %v, want about 8 s to 16 s", low, high)
	}
}

func TestReplayAt(t *testing.T) {
	t.Parallel()
	noRefreshToken := session.Window{DueAt: at(60), ExpiredAt: at(60), Exp: at(60)}
	for name, tt := range map[string]struct {
		w     session.Window
		now   float64
		wait  time.Duration
		again bool
		want  float64
	}{
		"planned refresh: half-way between the plan and the end": {minute, 35, time.Second, false, 50},
		"on time":                              {minute, 40, time.Second, false, 50},
		"late: the back-off rules":             {minute, 54, 3 * time.Second, false, 57},
		"the back-off reaches past half-way":   {minute, 48, 4 * time.Second, false, 52},
		"behind the end":                       {minute, 70, 5 * time.Second, false, 75},
		"again: not before the end":            {minute, 51, time.Second, true, 60},
		"again, close to the end":              {minute, 59.5, time.Second, true, 60.5},
		"again, at the end":                    {minute, 60, time.Second, true, 61},
		"again, behind it":                     {minute, 90, 5 * time.Second, true, 95},
		"a window without a Due part":          {noRefreshToken, 30, time.Second, false, 60},
		"a window without a Due part, over it": {noRefreshToken, 61, time.Second, false, 62},
	} {
		if got := refresh.ReplayAt(session.Profile{Replay: session.ReplayLate}, tt.w, at(tt.now), tt.wait, tt.again); !got.Equal(at(tt.want)) {
			t.Errorf("%s: %v, want %v s", name, got.Sub(issued), tt.want)
		}
	}
}

func TestNeededRate(t *testing.T) {
	t.Parallel()
	fiveMinutes := session.Policy{Threshold: 300 * time.Second}
	for name, tt := range map[string]struct {
		n    int
		life time.Duration
		p    session.Policy
		want float64
	}{
		"nobody":                        {0, 0, fiveMinutes, 0},
		"nobody, with a mean of before": {0, time.Minute, fiveMinutes, 0},
		"no lifetime":                   {10, 0, fiveMinutes, 0},
		"negative lifetime":             {10, -time.Minute, fiveMinutes, 0},
		"a nanosecond":                  {10, 1, fiveMinutes, 0},
		"too short to be swept":         {10, 8*time.Second - 1, fiveMinutes, 0},
		// L 8: A 8/3, S 8/6: 8−2.667−0.667 = 4.667 s a round
		"shortest swept": {14, 8 * time.Second, fiveMinutes, 3},
		// L 60: A 20, S 10: max(N/35, N/90)
		"a minute": {350, time.Minute, fiveMinutes, 10},
		// L 3600: A 300, S 600: max(N/3000, N/960): the second is what a burst after a restart needs
		"an hour": {9600, time.Hour, fiveMinutes, 10},
		// L 3600, threshold 0: A 0, S 600: max(N/3300, N/660)
		"no threshold": {6600, time.Hour, session.Policy{}, 10},
		// L 86400: A 300, S 600
		"a day": {960, 24 * time.Hour, fiveMinutes, 1},
	} {
		if got := refresh.NeededRate(tt.n, tt.life, tt.p); got < tt.want*0.9999 || got > tt.want*1.0001 {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
