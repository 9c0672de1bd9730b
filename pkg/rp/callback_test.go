package rp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

func TestReplayIsRefusedWithoutATokenRequest(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	callback := b.signIn(p, b.begin("/a"), "ada")
	before := b.clone() // still has the attempt's cookie
	if resp := b.get(callback); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("callback: %d", resp.StatusCode)
	}
	wantPage(t, before.get(callback), http.StatusBadRequest, `href="/a"`)
	wantPage(t, b.get(callback), http.StatusBadRequest, "Start again")
	wantPage(t, w.browser().get(callback), http.StatusBadRequest, "Start again")

	// the code again, under a state that is good
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("state", b.begin("/b").Query().Get("state"))
	wantPage(t, b.get("/auth/callback?"+q.Encode()), http.StatusBadRequest)

	// another code under the used state
	wantPage(t, before.get("/auth/callback?code=another&state="+u.Query().Get("state")), http.StatusBadRequest, `href="/a"`)

	if l := p.Ledger(); len(l.Received) != 1 || l.Revoked != 0 || len(w.vault.sessions()) != 1 {
		t.Errorf("%d token requests, %d revoked families, %d sessions", len(l.Received), l.Revoked, len(w.vault.sessions()))
	}
}

// A state that is used up stays so for as long as its cookie lives, no longer.
func TestAttemptEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/"), "ada")
		hoarder := b.clone()
		for name := range hoarder.gone { // keeps cookies for ever
			hoarder.gone[name] = time.Now().Add(time.Hour)
		}
		b.get(callback)
		for range 9 {
			time.Sleep(time.Minute)
			wantPage(t, hoarder.get(callback), http.StatusBadRequest, "used already")
		}
		time.Sleep(time.Minute)
		wantPage(t, hoarder.get(callback), http.StatusBadRequest, "ten minutes")
		w.browser().login(p, "/") // whatever is remembered is dropped at the next login
		wantPage(t, hoarder.get(callback), http.StatusBadRequest, "ten minutes")

		late := w.browser()
		callback = late.signIn(p, late.begin("/"), "ada")
		time.Sleep(10*time.Minute - time.Second)
		ontime := late.clone()
		time.Sleep(time.Second)
		wantPage(t, late.get(callback), http.StatusBadRequest, "ten minutes")
		wantPage(t, ontime.get(callback), http.StatusBadRequest, "ten minutes")
		if got := tokenPosts(p); got != 2 {
			t.Errorf("%d token requests", got)
		}
	})
}

func TestConcurrentCallbacksMakeOneTokenRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		if err := p.SetFault(op.Fault{GrantType: "authorization_code", HoldBefore: true}); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var gaveUp atomic.Bool
		tabs := make([]*browser, 20)
		ctx, leave := context.WithCancel(t.Context())
		group.Go(func() { // the first one, whose browser leaves
			gaveUp.Store(b.clone().send(ctx, http.MethodGet, callback).StatusCode == http.StatusServiceUnavailable)
		})
		synctest.Wait()
		for i := range tabs {
			tabs[i] = b.clone()
			group.Go(func() {
				if resp := tabs[i].get(callback); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/a" {
					t.Errorf("callback %d: %d", i, resp.StatusCode)
				}
			})
		}
		synctest.Wait()
		stranger := w.browser() // knows the URL, but has no cookie
		wantPage(t, stranger.get(callback), http.StatusBadRequest)
		leave()
		synctest.Wait()
		if !gaveUp.Load() {
			t.Error("who left was not let go")
		}
		p.Release()
		group.Wait()
		for i := range tabs {
			if tabs[i].handle() == "" || tabs[i].handle() != tabs[0].handle() {
				t.Errorf("callback %d has another session", i)
			}
		}
		if got := tokenPosts(p); got != 1 || len(w.vault.sessions()) != 1 {
			t.Errorf("%d token requests, %d sessions", got, len(w.vault.sessions()))
		}
	})
}

// Envoy gives a Check a few seconds and then answers with an empty page; ours
// comes first, and the URL goes on.
func TestSlowExchangeIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		if err := p.SetFault(op.Fault{GrantType: "authorization_code", Delay: op.Duration(7 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		wantPage(t, b.send(ctx, http.MethodGet, callback), http.StatusServiceUnavailable, "Reload")
		if took := time.Since(start); took != 4500*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		if resp := b.get(callback); resp.StatusCode != http.StatusSeeOther || b.handle() == "" {
			t.Errorf("reload: %d", resp.StatusCode)
		}
		if got := tokenPosts(p); got != 1 {
			t.Errorf("%d token requests", got)
		}
	})
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		if err := p.SetFault(op.Fault{GrantType: "authorization_code", HoldAfter: true}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		wantPage(t, b.get(callback), http.StatusServiceUnavailable, "/auth/login?return_to=%2Fa")
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
		wantPage(t, b.get(callback), http.StatusBadRequest, "used already")
		if got := tokenPosts(p); got != 1 || len(w.vault.sessions()) != 0 {
			t.Errorf("%d token requests, %d sessions", got, len(w.vault.sessions()))
		}
	})
}

// Nothing was written: the code is good, and a reload completes the login.
func TestProviderDownAtCallback(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	w, p := withOP(t, func(o *rp.Options) {
		real := o.Transport
		o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if down.Load() {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return real.RoundTrip(r)
		})
	})
	b := w.browser()
	callback := b.signIn(p, b.begin("/a"), "ada")
	down.Store(true)
	for range 2 {
		resp := b.get(callback)
		wantPage(t, resp, http.StatusServiceUnavailable, "Reload")
		if len(resp.Cookies()) != 0 {
			t.Errorf("cookies were touched: %v", resp.Cookies())
		}
	}
	down.Store(false)
	if resp := b.get(callback); resp.StatusCode != http.StatusSeeOther || tokenPosts(p) != 1 {
		t.Errorf("reload: %d, %d token requests", resp.StatusCode, tokenPosts(p))
	}
}

func TestStoreDownAtCallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		w.vault.outage(session.ErrUnavailable)
		resp := b.get(callback)
		wantPage(t, resp, http.StatusServiceUnavailable, "Start again")
		if len(resp.Cookies()) != 0 {
			t.Errorf("cookies were touched: %v", resp.Cookies())
		}
		synctest.Wait()
		if l := p.Ledger(); l.RevokedBy[op.ReasonRevocation] != 1 {
			t.Errorf("the tokens that nobody holds live on: %+v", l)
		}
	})
}

// Where all sessions of a user stand on one grant, a login that fails ends none of them.
func TestStoreDownAtCallbackOnASharedGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t, func(o *rp.Options) { o.Profile.SharedGrant = true })
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		w.vault.outage(session.ErrUnavailable)
		wantPage(t, b.get(callback), http.StatusServiceUnavailable, "Start again")
		synctest.Wait()
		if l := p.Ledger(); l.Revoked != 0 {
			t.Errorf("the user's other sessions are revoked: %+v", l)
		}
	})
}

func TestProviderRefusesTheExchange(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	for _, tt := range []struct {
		fault  op.Fault
		status int
	}{
		{op.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}, http.StatusBadRequest},
		{op.Fault{Status: 400, Body: `{"error":"invalid_request"}`}, http.StatusBadRequest},
		{op.Fault{Status: 401, Body: `{"error":"invalid_client"}`}, http.StatusServiceUnavailable},
		{op.Fault{Status: 503}, http.StatusServiceUnavailable},
		{op.Fault{Status: 500}, http.StatusServiceUnavailable},
		{op.Fault{Status: 302}, http.StatusServiceUnavailable},
		{op.Fault{Status: 200, Body: `{}`}, http.StatusServiceUnavailable},
	} {
		b, before := w.browser(), tokenPosts(p)
		callback := b.signIn(p, b.begin("/a"), "ada")
		if err := p.SetFault(tt.fault); err != nil {
			t.Fatal(err)
		}
		resp := b.get(callback)
		wantPage(t, resp, tt.status, "/auth/login?return_to=%2Fa")
		if len(resp.Cookies()) != 0 || len(w.vault.sessions()) != 0 {
			t.Errorf("%+v: cookies %v", tt.fault, resp.Cookies())
		}
		wantPage(t, b.get(callback), http.StatusBadRequest, "used already")
		if got := tokenPosts(p) - before; got != 1 {
			t.Errorf("%+v: %d token requests", tt.fault, got)
		}
	}
}

func TestErrorAnswer(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	for _, tt := range []struct {
		query  string
		status int
		text   string
		over   bool
	}{
		{"error=access_denied&error_description=%3Cscript%3E", http.StatusForbidden, "access_denied", true},
		{"error=consent_required", http.StatusBadRequest, "consent_required", true},
		{"error=%3Cscript%3Ealert(1)", http.StatusBadRequest, "not a code", true},
		{"error=access_denied&code=x", http.StatusForbidden, "access_denied", true},
		{"error=temporarily_unavailable", http.StatusServiceUnavailable, "Try again", false},
		{"error=server_error", http.StatusServiceUnavailable, "Try again", false},
	} {
		b := w.browser()
		state := b.begin("/a").Query().Get("state")
		resp := b.get("/auth/callback?" + tt.query + "&state=" + state)
		wantPage(t, resp, tt.status, tt.text, "/auth/login?return_to=%2Fa")
		if over := len(b.names(attempts)) == 0; over != tt.over {
			t.Errorf("%s: attempt over: %v", tt.query, over)
		}
		wantPage(t, w.browser().get("/auth/callback?"+tt.query+"&state="+state), http.StatusBadRequest, "Start again") // not this browser's
	}
	if strings.Contains(w.pages.String(), "script") || tokenPosts(p) != 0 || len(w.vault.sessions()) != 0 {
		t.Errorf("%d token requests, pages %s", tokenPosts(p), w.pages)
	}
}

func TestCallbackThatIsNotOurs(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	state := b.begin("/a").Query().Get("state")
	other := b.begin("/b").Query().Get("state")
	tag, random, _ := strings.Cut(state, ".")
	for _, query := range []string{
		"", "code=x", "state=", "code=x&state=", "code=x&state=" + tag, "code=x&state=" + tag + ".", "code=x&state=." + random, "code=x&state=" + random,
		"code=x&state=" + tag + "." + random[1:] + "A", "code=x&state=" + tag + "." + strings.ToLower(random), "code=x&state=recent.." + random,
		"code=x&state=" + other[:8] + "." + random, // another attempt's cookie
		"code=x&state=" + state + "&state=" + other, "code=x&code=y&state=" + state, "code=x&iss=a&iss=b&state=" + state,
		"state=" + state, "code=&state=" + state,
		"code=x&state=" + state + "&iss=https://other.example", "code=x&state=" + state + "&iss=" + issuer + "/",
		"error=access_denied&state=" + state + "&iss=https://other.example",
	} {
		resp := b.get("/auth/callback?" + query)
		wantPage(t, resp, http.StatusBadRequest, "Start again")
		if len(resp.Cookies()) != 0 {
			t.Errorf("%q: cookies %v", query, resp.Cookies())
		}
	}
	if got := tokenPosts(p); got != 0 {
		t.Errorf("%d token requests", got)
	}
	// one cookie of ours does not pass for another
	c := b.jar[attempts+other[:8]]
	b.jar[attempts+tag] = &http.Cookie{Name: attempts + tag, Value: c.Value}
	wantPage(t, b.get("/auth/callback?code=x&state="+tag+other[8:]), http.StatusBadRequest, "Start again")
	wantPage(t, b.get("/auth/callback?code=x&state="+state), http.StatusBadRequest, "Start again")
	if got := tokenPosts(p); got != 0 {
		t.Errorf("%d token requests", got)
	}
}

func TestIssuerParameter(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	b := w.browser()
	callback := b.signIn(p, b.begin("/a"), "ada")
	if resp := b.get(callback + "&iss=" + url.QueryEscape(issuer)); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with our iss: %d", resp.StatusCode)
	}
	h := newHostile(t)
	h.metadata["authorization_response_iss_parameter_supported"] = true
	_, b = h.world(t)
	q := b.begin("/").Query()
	state := q.Get("state")
	h.nonce = q.Get("nonce")
	wantPage(t, b.get("/auth/callback?code=x&state="+state), http.StatusBadRequest)
	if len(h.posted()) != 0 {
		t.Error("a code went out though the provider always sends iss")
	}
	if resp := b.get("/auth/callback?code=x&state=" + state + "&iss=" + url.QueryEscape(issuer)); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with our iss: %d", resp.StatusCode)
	}
}

func TestThirdLoginWithinAMinuteExplains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		var last string
		for i, want := range []int{303, 303, 200, 200} {
			resp := b.login(p, "/a?b=c")
			if want == http.StatusOK {
				wantPage(t, resp, want, "do not share a session store", "session cookie", `href="/a?b=c"`)
			} else if resp.StatusCode != want {
				t.Errorf("login %d: %d", i+1, resp.StatusCode)
			}
			if b.handle() == "" || b.handle() == last {
				t.Errorf("login %d gave no session", i+1)
			}
			last = b.handle()
			time.Sleep(15 * time.Second)
		}
		if !strings.Contains(w.log.String(), "store shared by all replicas") {
			t.Error("the operator is not told")
		}
		time.Sleep(time.Minute)
		for range 5 { // not a loop: 20 s each
			time.Sleep(30 * time.Second)
			if resp := b.login(p, "/"); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("later: %d", resp.StatusCode)
			}
		}
		if resp := w.browser().login(p, "/"); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("another browser: %d", resp.StatusCode)
		}
	})
}

func TestNoRefreshTokenNoLifetime(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	p.SetIssueRefreshToken(false)
	p.SetOmitExpiresIn(true)
	for range 2 {
		if resp := w.browser().login(p, "/"); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("login: %d", resp.StatusCode)
		}
	}
	s := w.vault.sessions()[0]
	if !s.Token.Refresh.IsZero() || s.Token.Lifetime != session.DefaultLifetime || !s.SweepAt.IsZero() {
		t.Errorf("session: %+v", s)
	}
	if got := strings.Count(w.log.String(), "no usable expires_in"); got != 1 {
		t.Errorf("warned %d times", got)
	}
}

func TestCloseWaitsForTheExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/"), "ada")
		if err := p.SetFault(op.Fault{Delay: op.Duration(3 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancelCause(t.Context())
		leave(errors.New("the browser left"))
		b.send(ctx, http.MethodGet, callback)
		if len(w.vault.sessions()) != 0 {
			t.Fatal("nothing to wait for")
		}
		w.Close()
		if len(w.vault.sessions()) != 1 {
			t.Error("Close returned before the session was made")
		}
	})
}
