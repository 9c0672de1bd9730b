package op_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	first := p.login("ada")
	second := p.mustRefresh(first.Refresh)
	third := p.mustRefresh(second.Refresh)
	if first.Refresh == second.Refresh || second.Refresh == third.Refresh || second.ExpiresIn != "60" {
		t.Fatalf("not rotated: %+v %+v", second, third)
	}
	p.mustBeAlive(first.Access, true) // a refresh leaves the older access tokens alone
	p.mustBeAlive(third.Access, true)
	l := provider.Ledger()
	if l.Consumed["f1"] != 2 || l.ConsumedTwice != 0 || l.Reuse != 0 || l.ActiveFamilies != 1 {
		t.Errorf("ledger %+v", l)
	}
}

func TestReuseRevokesTheFamily(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	first := p.login("ada")
	second := p.mustRefresh(first.Refresh)
	p.newBrowser()
	bystander := p.login("ada")
	p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
	p.mustFail(p.refresh(second.Refresh), http.StatusBadRequest, "invalid_grant")
	p.mustFail(p.refresh("never issued"), http.StatusBadRequest, "invalid_grant")
	p.mustBeAlive(first.Access, false)
	p.mustBeAlive(second.Access, false)
	p.mustBeAlive(bystander.Access, true)
	p.mustRefresh(bystander.Refresh)
	l := provider.Ledger()
	if l.Reuse != 1 || l.ConsumedTwice != 1 || l.Revoked != 1 || l.RevokedBy[op.ReasonReuse] != 1 || l.ActiveFamilies != 1 {
		t.Errorf("ledger %+v", l)
	}
	if want := map[string]int{"f1": 1, "f2": 1}; !reflect.DeepEqual(l.Consumed, want) {
		t.Errorf("consumed %v, want %v", l.Consumed, want)
	}
}

func TestParallelReuse(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	first := p.login("ada")
	const callers = 20
	answers := make([]tokens, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { answers[i] = p.refresh(first.Refresh) })
	}
	all.Wait()
	var winners []tokens
	for _, a := range answers {
		if a.status == http.StatusOK {
			winners = append(winners, a)
			continue
		}
		p.mustFail(a, http.StatusBadRequest, "invalid_grant")
	}
	if len(winners) != 1 {
		t.Fatalf("%d winners, want 1", len(winners))
	}
	p.mustFail(p.refresh(winners[0].Refresh), http.StatusBadRequest, "invalid_grant")
	p.mustBeAlive(winners[0].Access, false)
	l := provider.Ledger()
	if l.Consumed["f1"] != 1 || l.Reuse != callers-1 || l.ConsumedTwice != 1 || l.Revoked != 1 || l.ActiveFamilies != 0 {
		t.Errorf("ledger %+v", l)
	}
}

func TestParallelRedeemIsOneFamily(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	a := newAttempt()
	code := p.code(a, everything, "ada")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { p.token(a.form(code)) })
	}
	all.Wait()
	got := provider.Ledger().ReceivedBy["authorization_code"]
	if want := map[string]int{"200": 1, "400 invalid_grant": 9}; !reflect.DeepEqual(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestLedgerOverHTTP(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events []op.Event
	provider, p := serve(t, func(o *op.Options) {
		o.Log = func(e op.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}
	})
	first := p.login("ada")
	second := p.mustRefresh(first.Refresh)
	p.refresh(first.Refresh)
	p.post("/oauth/token", url.Values{"grant_type": {second.Refresh}})
	p.post("/oauth/token", nil)

	got := p.get("/_ledger")
	var l op.Ledger
	if err := json.Unmarshal([]byte(got.body), &l); err != nil {
		t.Fatal(err)
	}
	want := op.Ledger{
		Received: []op.Received{
			{Seq: 1, GrantType: "authorization_code", Status: 200, Family: "f1"},
			{Seq: 2, GrantType: "refresh_token", Status: 200, Family: "f1", Generation: 1, Accepted: true},
			{Seq: 3, GrantType: "refresh_token", Status: 400, Error: "invalid_grant", Family: "f1", Generation: 1, Spent: true},
			{Seq: 4, GrantType: op.OtherGrant, Status: 400, Error: "unsupported_grant_type"},
			{Seq: 5, GrantType: op.OtherGrant, Status: 400, Error: "invalid_request"},
		},
		ReceivedBy: map[string]map[string]int{
			"authorization_code": {"200": 1},
			"refresh_token":      {"200": 1, "400 invalid_grant": 1},
			op.OtherGrant:        {"400 unsupported_grant_type": 1, "400 invalid_request": 1},
		},
		Consumed: map[string]int{"f1": 1}, ConsumedTwice: 1, Reuse: 1, Logins: 1,
		Revoked: 1, RevokedBy: map[string]int{op.ReasonReuse: 1},
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("ledger\n got %+v\nwant %+v", l, want)
	}
	if !reflect.DeepEqual(provider.Ledger(), want) {
		t.Error("GET /_ledger and Ledger() differ")
	}
	for _, secret := range []string{"ada", clientSecret, first.Access, first.Refresh, second.Refresh} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the ledger contains %q", secret)
		}
	}
	wantEvents := []op.Event{
		{Kind: op.KindLogin, Client: clientID},
		{Kind: op.KindCode, Client: clientID, Family: "f1"},
		{Kind: op.KindRefresh, Client: clientID, Family: "f1", Generation: 1},
		{Kind: op.KindReuse, Client: clientID, Family: "f1", Generation: 1},
		{Kind: op.KindRevoke, Client: clientID, Family: "f1", Reason: op.ReasonReuse},
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range events {
		if events[i].Time.IsZero() {
			t.Error("an event without a time")
		}
		events[i].Time = time.Time{}
	}
	if !reflect.DeepEqual(events, wantEvents) {
		t.Errorf("events\n got %+v\nwant %+v", events, wantEvents)
	}
}

func TestSettingsAtRunTime(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, func(o *op.Options) { o.AccessTokenLife = 9500 * time.Millisecond })
	got := p.login("ada")
	if got.ExpiresIn != "10" {
		t.Errorf("expires_in %q, want 9.5 s rounded up", got.ExpiresIn)
	}
	for _, life := range []struct {
		set  time.Duration
		want json.Number
	}{{0, "1"}, {time.Second, "1"}, {300 * time.Second, "300"}, {time.Hour, "3600"}} {
		provider.SetAccessTokenLife(life.set)
		if got = p.mustRefresh(got.Refresh); got.ExpiresIn != life.want {
			t.Errorf("life %v: expires_in %q, want %s", life.set, got.ExpiresIn, life.want)
		}
	}
	provider.SetOmitExpiresIn(true)
	if got = p.mustRefresh(got.Refresh); got.ExpiresIn != "" {
		t.Errorf("expires_in %q, want none", got.ExpiresIn)
	}
	provider.SetOmitExpiresIn(false)

	provider.SetIssueRefreshToken(false)
	consumed := provider.Ledger().Consumed["f1"]
	for range 2 {
		if next := p.mustRefresh(got.Refresh); next.Refresh != "" || next.ExpiresIn != "3600" {
			t.Errorf("without rotation: %+v", next)
		}
	}
	if l := provider.Ledger(); l.Consumed["f1"] != consumed || l.Reuse != 0 {
		t.Errorf("ledger %+v, want nothing consumed", l)
	}
	a := newAttempt()
	if fresh := p.token(a.form(p.code(a, everything, "ada"))); fresh.status != http.StatusOK || fresh.Refresh != "" {
		t.Errorf("login without refresh tokens: %+v", fresh)
	}
	provider.SetIssueRefreshToken(true)
	if got = p.mustRefresh(got.Refresh); got.Refresh == "" {
		t.Error("no refresh token although switched on again")
	}
}

func TestNoRefreshTokenFromTheStart(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, func(o *op.Options) { o.NoRefreshToken = true })
	a := newAttempt()
	got := p.token(a.form(p.code(a, everything, "ada")))
	if got.status != http.StatusOK || got.Refresh != "" || len(provider.Ledger().Consumed) != 0 {
		t.Errorf("login: %+v, ledger %+v", got, provider.Ledger())
	}
}
