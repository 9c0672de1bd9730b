package product

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// accepted asks the provider whether an access token is good at this instant.
func (w *world) accepted(token string) bool {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.op.RoundTripper().RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// once asserts the promise on the provider's own books.
func (w *world) once() {
	w.t.Helper()
	if l := w.op.Ledger(); l.ConsumedTwice != 0 || l.Reuse != 0 {
		w.t.Errorf("the provider saw a spent refresh token again: %d generations, %d requests", l.ConsumedTwice, l.Reuse)
	}
}

// Requests with pauses, for an hour: every one leaves with a token that the
// provider accepts, and refreshes stay near the ideal of one a lifetime.
func TestAnHourOfRequestsMeetsNoExpiredToken(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute} {
		t.Run(life.String(), func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: life}, func(w *world) {
				t := w.t
				b := w.login("ada")
				for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(7 * time.Second) {
					if token := b.Fetch("/").Bearer(t); !w.accepted(token) {
						t.Fatalf("the app got a token that the provider refuses, %v before the end", time.Until(end))
					}
				}
				w.once()
				ideal := int(time.Hour / life)
				if got := w.refreshes(); got < ideal || got > 2*ideal+2 {
					t.Errorf("%d refreshes in an hour of %v tokens, want %d to %d", got, life, ideal, 2*ideal+2)
				}
			})
		})
	}
}

// The sweep alone, nobody asking: it keeps a session fresh while it counts as
// active, then lets it be, and the next request finds it alive.
func TestSweepKeepsActiveSessionsAndParksIdleOnes(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, config: "sweep: {active_within: 5m}"}, func(w *world) {
		t := w.t
		b := w.login("ada")
		time.Sleep(4 * time.Minute)
		if !w.accepted(b.Fetch("/").Bearer(t)) {
			t.Fatal("after four minutes without a request the token is stale")
		}
		time.Sleep(6 * time.Minute)
		parked := w.refreshes()
		time.Sleep(20 * time.Minute)
		if got := w.refreshes(); got != parked {
			t.Errorf("%d refreshes for a session unused for twenty minutes, want none", got-parked)
		}
		if !w.accepted(b.Fetch("/").Bearer(t)) {
			t.Error("the first request after the pause got a stale token")
		}
		if got := w.refreshes(); got != parked+1 {
			t.Errorf("%d refreshes for the first request after the pause, want 1", got-parked)
		}
		w.once()
	})
}

// Somebody who comes every twenty seconds is never parked, though the store is
// told of a use once a minute.
func TestSweepDoesNotParkWhoIsAboutToBeFlushed(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: 12 * time.Second, config: "sweep: {active_within: 30s}"}, func(w *world) {
		o := w.operator("ada")
		for range 30 {
			time.Sleep(20 * time.Second)
			o.browser.Fetch("/").Bearer(w.t)
		}
		for _, o := range o.show().History {
			if o.By != "sweep" {
				w.t.Errorf("refreshed by a %s", o.By)
			}
		}
		w.once()
	})
}

func TestOneRefreshForAThousandRequests(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sleep  time.Duration
		config string
		waited bool // all requests get the new token
	}{
		"due":      {22 * time.Second, "sweep: {enabled: false}", false},
		"due wait": {22 * time.Second, "sweep: {enabled: false}\nrefresh: {on_due: wait}", true},
		"expired":  {40 * time.Second, "sweep: {enabled: false}", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: 30 * time.Second, config: tt.config}, func(w *world) {
				t := w.t
				if err := w.op.SetFault(op.Fault{GrantType: "refresh_token", Delay: op.Duration(500 * time.Millisecond)}); err != nil {
					t.Fatal(err)
				}
				b := w.login("ada")
				old := b.Fetch("/").Bearer(t)
				time.Sleep(tt.sleep)
				const n = 1000
				answers := make(chan stack.Answer, n)
				started := time.Now()
				for range n {
					go func() { answers <- b.Fetch("/") }()
				}
				fresh := 0
				for range n {
					if token := (<-answers).Bearer(t); token != old {
						fresh++
					}
				}
				took := time.Since(started)
				if want := map[bool]int{true: n, false: 0}[tt.waited]; fresh != want {
					t.Errorf("%d of %d requests left with the new token, want %d", fresh, n, want)
				}
				if !tt.waited && took != 0 {
					t.Errorf("requests on a due session waited %v, want 0", took)
				}
				time.Sleep(time.Second)
				if got := w.refreshes(); got != 1 {
					t.Errorf("%d token requests, want 1", got)
				}
				if token := b.Fetch("/").Bearer(t); token == old || !w.accepted(token) {
					t.Error("the new token is not served")
				}
			})
		})
	}
}

// A provider that is down costs nobody a session.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ down, up func(*world) }{
		"refuses connections": {func(w *world) { w.line.down.Store(true) }, func(w *world) { w.line.down.Store(false) }},
		"answers 503": {func(w *world) {
			if err := w.op.SetFault(op.Fault{GrantType: "refresh_token", Status: 503, Body: "down"}); err != nil {
				w.t.Fatal(err)
			}
		}, func(w *world) { w.op.ClearFaults() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providerDown(t, tt.down, tt.up)
		})
	}
}

func providerDown(t *testing.T, down, up func(*world)) {
	t.Helper()
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		t := w.t
		b := w.login("ada")
		down(w)
		old := b.Fetch("/").Bearer(t)
		time.Sleep(59 * time.Second)
		if got := b.Fetch("/").Bearer(t); got != old || !w.accepted(got) {
			t.Error("a token with a second to live is not served")
		}
		time.Sleep(5 * time.Second)
		a := b.Fetch("/")
		if a.Status != http.StatusServiceUnavailable || len(a.Header.Values("Set-Cookie")) != 0 {
			t.Errorf("past expiry: %v, want 503 and no Set-Cookie", a)
		}
		if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 || after > 10 {
			t.Errorf("Retry-After %q, want a few seconds", a.Header.Get("Retry-After"))
		}
		page := b.VisitOnce("/")
		if page.Status != http.StatusServiceUnavailable || !strings.Contains(page.Body, `http-equiv="refresh"`) {
			t.Errorf("a navigation: %v, want a 503 page that retries", page)
		}
		before := w.refreshes()
		for range 100 {
			b.Fetch("/")
		}
		if got := w.refreshes() - before; got > 1 {
			t.Errorf("%d token requests for a hundred requests within the back-off, want at most 1", got)
		}
		up(w)
		time.Sleep(10 * time.Second)
		if !w.accepted(b.Fetch("/").Bearer(t)) {
			t.Error("not healed after the provider came back")
		}
		if l := w.op.Ledger(); l.Logins != 1 {
			t.Errorf("%d logins, want the first one only", l.Logins)
		}
		w.once()
	})
}

// The process dies while the provider holds the request, before it is consumed.
func TestKilledDuringARefresh(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]op.Fault{
		"before the provider consumed it": {GrantType: "refresh_token", HoldBefore: true, Times: 1},
		"after the provider consumed it":  {GrantType: "refresh_token", HoldAfter: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: time.Minute, config: "sweep: {enabled: false}"}, func(w *world) {
				t := w.t
				b := w.login("ada")
				if err := w.op.SetFault(fault); err != nil {
					t.Fatal(err)
				}
				time.Sleep(42 * time.Second)
				b.Fetch("/").Bearer(t)
				time.Sleep(time.Second) // jitter
				if held := w.op.Ledger().Held; held != 1 {
					t.Fatalf("%d requests held, want 1", held)
				}
				killed, snapshot := w.app, w.store.Restarted()
				w.start(snapshot) // what the store held at the kill
				defer func() {
					w.op.Release()
					_ = killed.Stop(context.Background())
				}()
				for range 20 {
					time.Sleep(time.Second)
					if a := b.Fetch("/"); a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusUnauthorized {
						t.Fatalf("after the restart: %v", a)
					}
				}
				time.Sleep(40 * time.Second)
				a := b.Fetch("/")
				if fault.HoldBefore && (a.Status != http.StatusOK || !w.accepted(a.Bearer(t))) {
					t.Errorf("nothing was lost, but the session is: %v", a)
				}
				if fault.HoldAfter && a.Status != http.StatusUnauthorized {
					t.Errorf("the answer was lost under a provider without grace: %v, want 401", a)
				}
			})
		})
	}
}

func TestNoRefreshTokenEndsAtExpiry(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		t := w.t
		w.op.SetIssueRefreshToken(false)
		b := w.login("ada")
		time.Sleep(59 * time.Second)
		if !w.accepted(b.Fetch("/").Bearer(t)) {
			t.Error("not served until expiry")
		}
		time.Sleep(2 * time.Second)
		if a := b.Fetch("/"); a.Status != http.StatusUnauthorized {
			t.Errorf("past expiry: %v, want 401", a)
		}
		if a := b.VisitOnce("/"); a.Status != http.StatusFound || !strings.HasPrefix(a.Location, issuer) {
			t.Errorf("a navigation past expiry: %v, want the way to the provider", a)
		}
		if got := w.refreshes(); got != 0 {
			t.Errorf("%d token requests without a refresh token", got)
		}
	})
}

func TestExpiresInAbsentMeansFiveMinutes(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Hour, config: "sweep: {enabled: false}"}, func(w *world) {
		t := w.t
		w.op.SetOmitExpiresIn(true)
		b := w.login("ada")
		time.Sleep(190 * time.Second)
		b.Fetch("/").Bearer(t)
		time.Sleep(time.Second)
		if got := w.refreshes(); got != 0 {
			t.Errorf("%d refreshes after 190 s, want 0: due at 300 − 100 s", got)
		}
		time.Sleep(15 * time.Second)
		b.Fetch("/").Bearer(t)
		time.Sleep(time.Second)
		if got := w.refreshes(); got != 1 {
			t.Errorf("%d refreshes after 206 s, want 1", got)
		}
		if n := strings.Count(w.log.String(), "expires_in"); n != 1 {
			t.Errorf("%d log lines about the missing expires_in, want 1", n)
		}
	})
}

func TestIdleAndAbsoluteEnds(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: 5 * time.Minute}, func(w *world) {
		t := w.t
		idle, busy := w.login("ida"), w.login("ben")
		begun := time.Now()
		for time.Since(begun) < 59*time.Minute {
			time.Sleep(10 * time.Minute)
			busy.Fetch("/").Bearer(t)
		}
		time.Sleep(61*time.Minute - time.Since(begun))
		if a := idle.Fetch("/auth/session"); a.Status != http.StatusUnauthorized {
			t.Errorf("the session page after over an hour: %v, want 401", a)
		}
		if a := idle.Fetch("/"); a.Status != http.StatusUnauthorized {
			t.Errorf("unused for over an hour: %v, want 401", a)
		}
		for time.Since(begun) < 8*time.Hour-15*time.Minute {
			time.Sleep(10 * time.Minute)
			busy.Fetch("/").Bearer(t)
		}
		time.Sleep(8*time.Hour - time.Since(begun))
		if a := busy.Fetch("/"); a.Status != http.StatusUnauthorized {
			t.Errorf("eight hours after login: %v, want 401", a)
		}
		time.Sleep(10 * time.Minute)
		if l := w.op.Ledger(); l.ActiveFamilies != 0 {
			t.Errorf("%d token families live on at the provider, want 0", l.ActiveFamilies)
		}
		w.once()
	})
}

// Logout while the provider is answering: the session stays dead, and the
// tokens that arrive late are revoked.
func TestLogoutDuringARefresh(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, config: "sweep: {enabled: false}"}, func(w *world) {
		t := w.t
		b := w.login("ada")
		if err := w.op.SetFault(op.Fault{GrantType: "refresh_token", HoldAfter: true, Times: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(42 * time.Second)
		b.Fetch("/").Bearer(t)
		time.Sleep(time.Second) // jitter
		if held := w.op.Ledger().Held; held != 1 {
			t.Fatalf("%d requests held, want 1", held)
		}
		handle := b.Cookie("__Host-bff_session")
		if a := b.Post("/auth/logout"); a.Status != http.StatusSeeOther {
			t.Fatalf("logout: %v, want 303", a)
		}
		stale := func() stack.Answer { return w.browser().Fetch("/", "Cookie: __Host-bff_session="+handle) }
		if a := stale(); a.Status != http.StatusUnauthorized {
			t.Errorf("the old cookie after logout: %v, want 401", a)
		}
		w.op.Release()
		time.Sleep(time.Minute)
		if a := stale(); a.Status != http.StatusUnauthorized {
			t.Errorf("the old cookie after the late answer: %v, want 401", a)
		}
		if l := w.op.Ledger(); l.ActiveFamilies != 0 {
			t.Errorf("%d token families live on at the provider, want 0", l.ActiveFamilies)
		}
		w.once()
	})
}
