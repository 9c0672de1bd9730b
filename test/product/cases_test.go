package product

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The seven cases at which proxies commonly lose a session.
func TestSevenCases(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    options
		play func(*world)
	}{
		"parallel requests with one-time tokens":      {options{life: time.Minute}, parallelRequests},
		"a provider slower than any lock":             {options{life: time.Minute}, slowProvider},
		"a slow provider that does not rotate":        {options{life: time.Minute}, slowWithoutRotation},
		"the browser goes away in mid-refresh":        {options{life: time.Minute, config: "sweep: {enabled: false}"}, browserAborts},
		"503 while the token lives":                   {options{life: time.Minute}, unavailableAlive},
		"503 when the token is dead":                  {options{life: time.Minute}, unavailableDead},
		"invalid_client for a while":                  {options{life: time.Minute}, clientWindow},
		"a dead token reported as invalid_request":    {options{life: time.Minute}, deadAsInvalidRequest},
		"the same, at a provider known to say so":     {options{life: time.Minute, provider: "profile: zitadel"}, deadAsInvalidRequestKnown},
		"a live token, invalid_request means retry":   {options{life: time.Minute, provider: "profile: hydra"}, retryAsInvalidRequest},
		"Envoy's deadline is shorter than a refresh":  {options{life: time.Minute, config: "sweep: {enabled: false}"}, envoyGivesUp},
		"an answer that is lost under a grace period": {options{life: time.Minute, provider: "profile: okta"}, lostBeforeTheProvider},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, c.o, func(w *world) {
				c.play(w)
				w.once()
			})
		})
	}
}

// good expects a page with a token that the provider accepts.
func (w *world) good(a interface{ Bearer(testing.TB) string }, when string) {
	w.t.Helper()
	if !w.accepted(a.Bearer(w.t)) {
		w.t.Errorf("%s: the app got a token that the provider refuses", when)
	}
}

// loggedIn expects that nobody had to log in again.
func (w *world) loggedIn(n int) {
	w.t.Helper()
	if l := w.op.Ledger(); l.Logins != n || l.Revoked != 0 {
		w.t.Errorf("%d logins, want %d; %d grants revoked", l.Logins, n, l.Revoked)
	}
}

func parallelRequests(w *world) {
	b := w.login("ada")
	for range 20 {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { w.good(b.Fetch("/"), "one of fifty") })
		}
		all.Wait()
		time.Sleep(13 * time.Second)
	}
	w.loggedIn(1)
}

func slowProvider(w *world) {
	b := w.login("ada")
	w.line.set(slow(9 * time.Second)) // the lease is three seconds
	for range 100 {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { b.Fetch("/") })
		}
		all.Wait()
		time.Sleep(3 * time.Second)
	}
	w.good(b.Fetch("/"), "in the end")
	if got, most := w.line.requests(), 5*60/9+1; got > most {
		w.t.Errorf("%d token requests of 9 s each in five minutes", got)
	}
	w.loggedIn(1)
}

func slowWithoutRotation(w *world) {
	b := w.login("ada")
	w.op.SetIssueRefreshToken(false)
	w.line.set(slow(4 * time.Second))
	for range 100 {
		w.good(b.Fetch("/"), "a provider that keeps its token")
		time.Sleep(5 * time.Second)
	}
	w.loggedIn(1)
}

func browserAborts(w *world) {
	b := w.login("ada")
	w.line.set(slow(2 * time.Second))
	time.Sleep(61 * time.Second) // expired: the request waits
	ctx, abort := context.WithCancel(context.Background())
	defer time.AfterFunc(time.Second, abort).Stop()
	if _, err := b.Do(b.Request(http.MethodGet, "/", "Accept: application/json").WithContext(ctx)); err == nil {
		w.t.Fatal("the request was not cut off")
	}
	time.Sleep(2 * time.Second)
	w.line.set(nil)
	before := w.line.requests()
	w.good(b.Fetch("/"), "the next request")
	if got := w.line.requests(); before != 1 || got != 1 {
		w.t.Errorf("%d token requests, and %d more for the next request, want 1 and none", before, got-before)
	}
	w.loggedIn(1)
}

func unavailableAlive(w *world) {
	b := w.login("ada")
	w.line.set(answers(503, ""))
	for range 11 {
		w.good(b.Fetch("/"), "while the token lives")
		time.Sleep(5 * time.Second)
	}
	w.line.set(nil)
	time.Sleep(4 * time.Second) // just before expiry
	b.Fetch("/")
	time.Sleep(10 * time.Second)
	w.good(b.Fetch("/"), "afterwards")
	w.loggedIn(1)
}

func unavailableDead(w *world) {
	b := w.login("ada")
	w.line.set(answers(503, ""))
	time.Sleep(2 * time.Minute)
	for range 100 { // in a back-off, and during a try
		a := b.Fetch("/")
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Header.Get("Set-Cookie") != "" {
			w.t.Fatalf("past expiry: %v, want 503 with Retry-After and the cookie left alone", a)
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.line.set(nil)
	time.Sleep(10 * time.Second)
	w.good(b.Fetch("/"), "afterwards")
	w.loggedIn(1)
}

func clientWindow(w *world) {
	b := w.login("ada")
	w.line.set(answers(401, `{"error":"invalid_client"}`))
	for range 30 { // a secret that is being rotated
		if a := b.Fetch("/"); a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
			w.t.Fatalf("meanwhile: %v", a)
		}
		time.Sleep(10 * time.Second)
	}
	w.line.set(nil)
	time.Sleep(10 * time.Second)
	w.good(b.Fetch("/"), "afterwards")
	w.loggedIn(1)
}

func deadAsInvalidRequest(w *world) {
	b := w.login("ada")
	w.line.set(answers(400, `{"error":"invalid_request"}`))
	time.Sleep(59 * time.Second)
	w.good(b.Fetch("/"), "while the token lives")
	time.Sleep(2 * time.Second)
	if a := b.VisitOnce("/"); a.Status != http.StatusFound || !strings.HasPrefix(a.Location, issuer) {
		w.t.Errorf("past expiry: %v, want the way to the provider", a)
	}
}

func deadAsInvalidRequestKnown(w *world) {
	b := w.login("ada")
	w.line.set(answers(400, `{"error":"invalid_request"}`))
	time.Sleep(45 * time.Second)
	if a := b.VisitOnce("/"); a.Status != http.StatusFound || !strings.HasPrefix(a.Location, issuer) {
		w.t.Errorf("after the verdict: %v, want the way to the provider", a)
	}
	w.line.set(nil)
	w.good(b.Visit("/"), "after a silent login")
}

func retryAsInvalidRequest(w *world) {
	b := w.login("ada")
	w.line.set(answers(400, `{"error":"invalid_request"}`))
	time.Sleep(45 * time.Second)
	w.good(b.Fetch("/"), "meanwhile")
	w.line.set(nil)
	time.Sleep(30 * time.Second)
	w.good(b.Fetch("/"), "afterwards")
	w.loggedIn(1)
}

func envoyGivesUp(w *world) {
	b := w.login("ada")
	w.line.set(slow(7 * time.Second)) // Envoy waits for 5 s
	time.Sleep(61 * time.Second)
	a := b.Fetch("/")
	if a.Status != http.StatusServiceUnavailable || a.Body == "" {
		w.t.Errorf("got %v, want our 503, with a body, before Envoy's", a)
	}
	time.Sleep(5 * time.Second)
	w.line.set(nil)
	w.good(b.Fetch("/"), "the next request")
	if got := w.line.requests(); got != 1 {
		w.t.Errorf("%d token requests, want 1", got)
	}
	w.loggedIn(1)
}

func lostBeforeTheProvider(w *world) {
	b := w.login("ada")
	w.line.once(cutBefore)
	time.Sleep(45 * time.Second)
	if got := w.line.requests(); got < 2 {
		w.t.Errorf("%d token requests, want the lost one and its replay", got)
	}
	w.good(b.Fetch("/"), "after the replay")
	w.loggedIn(1)
}
