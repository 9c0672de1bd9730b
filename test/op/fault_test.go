package op_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

func control(p *party, body string) reply {
	p.t.Helper()
	r := p.request(http.MethodPost, "/_control", nil)
	r, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.do(&http.Client{Transport: p.transport}, r)
}

func mustControl(p *party, c op.Control) {
	p.t.Helper()
	body, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	if got := control(p, string(body)); got.status != http.StatusNoContent {
		p.t.Fatalf("control %s: %d %s", body, got.status, got.body)
	}
}

// send posts in the background until ctx is cancelled.
func send(ctx context.Context, p *party, form url.Values) <-chan error {
	r := p.request(http.MethodPost, "/oauth/token", form).WithContext(ctx)
	r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
	done := make(chan error, 1)
	go func() {
		response, err := (&http.Client{Transport: p.transport}).Do(r)
		if err == nil {
			err = response.Body.Close()
		}
		done <- err
	}()
	return done
}

func TestStatusFault(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	mustControl(p, op.Control{Fault: &op.Fault{
		GrantType: "refresh_token", Times: 2, Status: 503, Body: `{"error":"temporarily_unavailable"}`,
	}})
	for range 2 {
		p.mustFail(p.refresh(got.Refresh), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	if l := provider.Ledger(); l.Consumed["f1"] != 0 || l.ReceivedBy["refresh_token"]["503 temporarily_unavailable"] != 2 {
		t.Errorf("ledger %+v", l)
	}
	p.mustRefresh(got.Refresh) // the fault has run out, and the token is still good

	if err := provider.SetFault(op.Fault{Status: 500, Body: "<h1>oops"}); err != nil {
		t.Fatal(err)
	}
	r := p.post("/oauth/token", refreshForm("x"))
	if r.status != http.StatusInternalServerError || r.body != "<h1>oops" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("any grant type: %d %s", r.status, r.body)
	}
	provider.ClearFaults()
	if r := p.post("/oauth/token", refreshForm("x")); r.status != http.StatusBadRequest {
		t.Errorf("after clearing: %d", r.status)
	}
}

func TestFaultIsForItsGrantType(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	a := newAttempt()
	code := p.code(a, everything, "ada")
	for _, f := range []op.Fault{
		{GrantType: "authorization_code", Times: 1, Status: 503, Body: "{}"},
		{GrantType: "refresh_token", Times: 1, Status: 429, Body: "{}"},
		{Times: 1, Status: 502, Body: "{}"},
	} {
		if err := provider.SetFault(f); err != nil {
			t.Fatal(err)
		}
	}
	p.mustFail(p.refresh("x"), http.StatusTooManyRequests, "")
	p.mustFail(p.token(a.form(code)), http.StatusServiceUnavailable, "")
	p.mustFail(p.token(a.form(code)), http.StatusBadGateway, "")
	if got := p.token(a.form(code)); got.status != http.StatusOK {
		t.Errorf("after the faults: %+v", got)
	}
}

func TestHoldBeforeAndRelease(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	mustControl(p, op.Control{Fault: &op.Fault{GrantType: "refresh_token", Times: 2, HoldBefore: true}})
	for _, code := range []string{"200", "400 invalid_grant"} { // a release is for those held at that moment
		before := provider.Ledger()
		done := send(t.Context(), p, refreshForm(got.Refresh))
		eventually(t, "held", func() bool { return provider.Ledger().Held == 1 })
		l := provider.Ledger()
		if l.Consumed["f1"] != before.Consumed["f1"] || l.Reuse != 0 || l.ReceivedBy["refresh_token"]["open"] != 1 {
			t.Errorf("while held: %+v", l)
		}
		mustControl(p, op.Control{Release: true})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l = provider.Ledger()
		if l.Held != 0 || l.Consumed["f1"] != 1 || l.ReceivedBy["refresh_token"][code] != 1 || l.ReceivedBy["refresh_token"]["open"] != 0 {
			t.Errorf("after the release: %+v", l)
		}
	}
}

func TestHeldPostOfAClosedConnectionIsDropped(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	if err := provider.SetFault(op.Fault{Times: 1, HoldBefore: true}); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	done := send(ctx, p, refreshForm(got.Refresh))
	eventually(t, "held", func() bool { return provider.Ledger().Held == 1 })
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller got %v", err)
	}
	eventually(t, "dropped", func() bool { return provider.Ledger().Held == 0 })
	provider.Release()
	l := provider.Ledger()
	if l.Consumed["f1"] != 0 || l.ReceivedBy["refresh_token"][op.Dropped] != 1 {
		t.Errorf("ledger %+v", l)
	}
	p.mustRefresh(got.Refresh)
	if l := provider.Ledger(); l.Reuse != 0 || l.ConsumedTwice != 0 || len(l.Received) != 3 {
		t.Errorf("ledger %+v", l)
	}
}

func TestHoldAfterConsumes(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	if err := provider.SetFault(op.Fault{GrantType: "refresh_token", Times: 2, HoldAfter: true}); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	done := send(ctx, p, refreshForm(got.Refresh))
	eventually(t, "held", func() bool { return provider.Ledger().Held == 1 })
	if l := provider.Ledger(); l.Consumed["f1"] != 1 || l.ReceivedBy["refresh_token"]["200"] != 1 {
		t.Errorf("while held: %+v", l)
	}
	hangUp()
	<-done
	eventually(t, "let go", func() bool { return provider.Ledger().Held == 0 })

	replay := send(t.Context(), p, refreshForm(got.Refresh))
	eventually(t, "held", func() bool { return provider.Ledger().Held == 1 })
	provider.Release()
	if err := <-replay; err != nil {
		t.Fatal(err)
	}
	if l := provider.Ledger(); l.Reuse != 1 || l.ConsumedTwice != 1 || l.ActiveFamilies != 0 {
		t.Errorf("after the lost answer's token came back: %+v", l)
	}
}

func TestControlRefuses(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	for _, body := range []string{
		``, `{"fualt":{}}`, `{"fault":{"holdbefore":1}}`, `{"fault":{"grant_type":"password"}}`,
		`{"fault":{"status":99}}`, `{"fault":{"times":-1}}`, `{"fault":{"delay":3}}`, `{"fault":{"delay":"soon"}}`,
	} {
		if got := control(p, body); got.status != http.StatusBadRequest || got.body == "" {
			t.Errorf("%s: %d %q", body, got.status, got.body)
		}
	}
}

func TestControlSettings(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	if got := control(p, `{"access_token_life":"2m"}`); got.status != http.StatusNoContent {
		t.Fatalf("control: %d %s", got.status, got.body)
	}
	got := p.login("ada")
	if got.ExpiresIn != "120" {
		t.Errorf("expires_in %q", got.ExpiresIn)
	}
	control(p, `{"omit_expires_in":true,"issue_refresh_token":false}`)
	if got = p.mustRefresh(got.Refresh); got.ExpiresIn != "" || got.Refresh != "" {
		t.Errorf("token answer %+v", got)
	}
}

func TestDelayInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		if err := provider.SetFault(op.Fault{Delay: op.Duration(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got = p.mustRefresh(got.Refresh)
		if passed := time.Since(start); passed != time.Minute {
			t.Errorf("answered after %v", passed)
		}

		// A caller that gives up: the provider handles its POST all the same.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start = time.Now()
		if err := <-send(ctx, p, refreshForm(got.Refresh)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the caller got %v", err)
		}
		if passed := time.Since(start); passed != 10*time.Second {
			t.Errorf("the caller came back after %v", passed)
		}
		if n := provider.Ledger().Consumed["f1"]; n != 1 {
			t.Errorf("%d consumed while delayed, want 1", n)
		}
		time.Sleep(time.Minute) // fake
		synctest.Wait()
		if l := provider.Ledger(); l.Consumed["f1"] != 2 || l.ReceivedBy["refresh_token"]["200"] != 2 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestHoldInFakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		if err := provider.SetFault(op.Fault{HoldBefore: true}); err != nil {
			t.Fatal(err)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		dropped := send(ctx, p, refreshForm(got.Refresh))
		held := send(t.Context(), p, refreshForm(got.Refresh))
		synctest.Wait()
		if l := provider.Ledger(); l.Held != 2 || l.ReceivedBy["refresh_token"]["open"] != 2 {
			t.Fatalf("ledger %+v", l)
		}
		hangUp()
		synctest.Wait()
		if l := provider.Ledger(); l.Held != 1 || l.ReceivedBy["refresh_token"][op.Dropped] != 1 {
			t.Errorf("ledger %+v", l)
		}
		provider.Release()
		if err := errors.Join(<-held); err != nil {
			t.Error(err)
		}
		<-dropped
		if l := provider.Ledger(); l.Consumed["f1"] != 1 || l.Reuse != 0 || l.ActiveFamilies != 1 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestCloseDropsWhatIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		if err := provider.SetFault(op.Fault{HoldBefore: true}); err != nil {
			t.Fatal(err)
		}
		done := send(t.Context(), p, refreshForm(got.Refresh))
		synctest.Wait()
		provider.Close()
		if err := <-done; err == nil {
			t.Error("a dropped POST was answered")
		}
		if l := provider.Ledger(); l.Held != 0 || l.Consumed["f1"] != 0 || l.ReceivedBy["refresh_token"][op.Dropped] != 1 {
			t.Errorf("ledger %+v", l)
		}
		if err := <-send(t.Context(), p, refreshForm(got.Refresh)); err == nil {
			t.Error("a closed provider answered")
		}
		provider.Close()
	})
}

// A caller that left does not end the provider's work, but Close waits for it.
func TestCloseWaitsForWhatIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, func(o *op.Options) {
			o.Log = func(e op.Event) {
				if e.Kind == op.KindRefresh {
					time.Sleep(time.Minute) // fake
				}
			}
		})
		got := p.login("ada")
		ctx, hangUp := context.WithCancel(t.Context())
		done := send(ctx, p, refreshForm(got.Refresh))
		synctest.Wait()
		hangUp()
		<-done
		provider.Close()
		if l := provider.Ledger(); l.ReceivedBy["refresh_token"]["200"] != 1 {
			t.Errorf("after Close: %+v", l)
		}
	})
}
