package op_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

// inPolicy runs test in fake time under policy, with one login done.
func inPolicy(t *testing.T, policy op.Policy, test func(t *testing.T, provider *op.Provider, p *party, first tokens)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, func(o *op.Options) { o.ES256 = true })
		mustControl(p, op.Control{Policy: &policy})
		test(t, provider, p, p.login("ada"))
	})
}

// spent is what the ledger says of one family whose spent tokens came back.
func spent(t *testing.T, provider *op.Provider, consumed, twice, reuse, forgiven, active int) {
	t.Helper()
	l, n := provider.Ledger(), provider.Tally()
	if l.Consumed["f1"] != consumed || l.ConsumedTwice != twice || l.Reuse != reuse || l.Forgiven != forgiven || l.ActiveFamilies != active {
		t.Errorf("ledger: consumed %d, twice %d, reuse %d, forgiven %d, active %d; want %d %d %d %d %d",
			l.Consumed["f1"], l.ConsumedTwice, l.Reuse, l.Forgiven, l.ActiveFamilies, consumed, twice, reuse, forgiven, active)
	}
	if n.ConsumedTwice != l.ConsumedTwice || n.Reuse != l.Reuse || n.Forgiven != l.Forgiven || n.ActiveFamilies != l.ActiveFamilies {
		t.Errorf("tally %+v, ledger %+v", n, l)
	}
}

func TestStrictThatSparesTheFamily(t *testing.T) {
	inPolicy(t, op.Policy{SpareFamily: true}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		second := p.mustRefresh(first.Refresh)
		for range 3 {
			p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
		}
		p.mustBeAlive(second.Access, true)
		p.mustRefresh(second.Refresh)
		spent(t, provider, 2, 1, 3, 0, 1)
	})
}

func TestNoRotation(t *testing.T) {
	for rotation, repeats := range map[op.Rotation]bool{op.RotateNone: false, op.RotateNoneRepeat: true} {
		t.Run(string(rotation), func(t *testing.T) {
			inPolicy(t, op.Policy{Rotation: rotation}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
				for range 3 {
					got := p.mustRefresh(first.Refresh)
					if want := map[bool]string{true: first.Refresh}[repeats]; got.Refresh != want || got.Access == first.Access {
						t.Errorf("answered %v, the same refresh token: %v", got, got.Refresh == first.Refresh)
					}
				}
				spent(t, provider, 0, 0, 0, 0, 1)
				if n := provider.Tally(); n.Accepted != 3 || n.Consumed != 0 {
					t.Errorf("tally %+v", n)
				}
			})
		})
	}
}

const grace = 10 * time.Second

func TestGraceWithTheSameSuccessor(t *testing.T) {
	policy := op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(grace)}
	inPolicy(t, policy, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		second := p.mustRefresh(first.Refresh)
		for range 2 {
			time.Sleep(grace/2 - time.Nanosecond)
			again := p.mustRefresh(first.Refresh)
			if again.Refresh != second.Refresh || again.Access == second.Access {
				t.Errorf("in the grace: the same successor %v, another access token %v", again.Refresh == second.Refresh, again.Access != second.Access)
			}
			p.mustBeAlive(again.Access, true)
		}
		spent(t, provider, 1, 1, 2, 2, 1)
		time.Sleep(2 * time.Nanosecond)
		p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
		p.mustFail(p.refresh(second.Refresh), http.StatusBadRequest, "invalid_grant")
		spent(t, provider, 1, 1, 3, 2, 0)
	})
}

func TestGraceEndsWhenTheSuccessorIsUsed(t *testing.T) {
	policy := op.Policy{Rotation: op.RotateGraceSame, Grace: op.Duration(grace), SpareFamily: true}
	inPolicy(t, policy, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		second := p.mustRefresh(first.Refresh)
		third := p.mustRefresh(second.Refresh)
		p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
		if again := p.mustRefresh(second.Refresh); again.Refresh != third.Refresh {
			t.Error("the previous token is not answered with the last one")
		}
		spent(t, provider, 2, 2, 2, 1, 1)
	})
}

func TestGraceWithAFork(t *testing.T) {
	policy := op.Policy{Rotation: op.RotateGraceFork, Grace: op.Duration(grace)}
	inPolicy(t, policy, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		left := p.mustRefresh(first.Refresh)
		right := p.mustRefresh(first.Refresh)
		if left.Refresh == right.Refresh {
			t.Error("not forked")
		}
		p.mustRefresh(left.Refresh)
		right = p.mustRefresh(right.Refresh)
		spent(t, provider, 3, 1, 1, 1, 1)
		generations := map[int]bool{}
		for _, r := range provider.Ledger().Received[1:] {
			generations[r.Generation] = true
		}
		if len(generations) != 3 {
			t.Errorf("generations presented: %v, want 3 different", generations)
		}
		time.Sleep(grace)
		p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
		p.mustFail(p.refresh(right.Refresh), http.StatusBadRequest, "invalid_grant")
		spent(t, provider, 3, 1, 2, 1, 0)
	})
}

func TestOnePerUser(t *testing.T) {
	inPolicy(t, op.Policy{OnePerUser: true}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		first = p.mustRefresh(first.Refresh)
		p.newBrowser()
		bystander := p.login("bob")
		p.newBrowser()
		second := p.login("ada")
		p.mustFail(p.refresh(first.Refresh), http.StatusBadRequest, "invalid_grant")
		p.mustBeAlive(first.Access, true) // its access tokens live on
		p.mustRefresh(bystander.Refresh)
		second = p.mustRefresh(second.Refresh)
		third := p.login("ada") // the same browser makes no difference
		p.mustFail(p.refresh(second.Refresh), http.StatusBadRequest, "invalid_grant")
		p.mustRefresh(third.Refresh)
		if l := provider.Ledger(); l.Replaced != 2 || l.ActiveFamilies != 2 || l.Revoked != 0 || l.Reuse != 0 {
			t.Errorf("ledger %+v", l)
		}
		if r := p.post("/revoke", map[string][]string{"token": {third.Refresh}}); r.status != http.StatusOK {
			t.Errorf("revocation: %d", r.status)
		}
		if l := provider.Ledger(); l.Replaced != 2 || l.ActiveFamilies != 1 || l.Revoked != 1 {
			t.Errorf("ledger %+v", l)
		}
	})
}

// The same user at another client is another owner.
func TestOnePerUserAtAnotherClient(t *testing.T) {
	inPolicy(t, op.Policy{OnePerUser: true}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		a := newAttempt()
		query := a.query(everything)
		query.Set("client_id", "other")
		code := p.authorize(query).location(t).Query().Get("code") // the browser is signed in
		r := p.request(http.MethodPost, "/oauth/token", a.form(code))
		r.SetBasicAuth("other", "other")
		if got := parseTokens(t, p.do(&http.Client{Transport: p.transport}, r)); got.Refresh == "" {
			t.Fatalf("login at the other client: %v", got)
		}
		p.mustRefresh(first.Refresh)
		if l := provider.Ledger(); l.Replaced != 0 || l.ActiveFamilies != 2 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestOnePerUserSwitchedOnLater(t *testing.T) {
	inPolicy(t, op.Policy{}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		second := p.login("ada")
		if err := provider.SetPolicy(op.Policy{OnePerUser: true}); err != nil {
			t.Fatal(err)
		}
		p.mustRefresh(first.Refresh)
		p.login("ada")
		p.mustFail(p.refresh(second.Refresh), http.StatusBadRequest, "invalid_grant")
		if l := provider.Ledger(); l.Replaced != 2 || l.ActiveFamilies != 1 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestOldAccessTokensDieAtRefresh(t *testing.T) {
	inPolicy(t, op.Policy{EndAccess: true}, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
		p.newBrowser()
		bystander := p.login("ada")
		second := p.mustRefresh(first.Refresh)
		p.mustBeAlive(first.Access, false)
		p.mustBeAlive(second.Access, true)
		p.mustBeAlive(bystander.Access, true)
		if err := provider.SetPolicy(op.Policy{}); err != nil {
			t.Fatal(err)
		}
		third := p.mustRefresh(second.Refresh)
		p.mustBeAlive(second.Access, true)
		p.mustBeAlive(third.Access, true)
	})
}

// Only a dead grant is reported otherwise: the client's own mistakes are not.
func TestHowADeadGrantIsReported(t *testing.T) {
	for name, tt := range map[string]struct {
		policy op.Policy
		status int
		code   string
	}{
		"code":   {op.Policy{DeadError: "invalid_request"}, 400, "invalid_request"},
		"status": {op.Policy{DeadStatus: 401}, 401, "invalid_grant"},
		"both":   {op.Policy{DeadError: "token_expired", DeadStatus: 500}, 500, "token_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			inPolicy(t, tt.policy, func(t *testing.T, provider *op.Provider, p *party, first tokens) {
				p.mustFail(p.refresh("never issued"), tt.status, tt.code)
				p.mustFail(p.refresh(""), http.StatusBadRequest, "invalid_request")
				p.mustRefresh(first.Refresh)
				p.mustFail(p.refresh(first.Refresh), tt.status, tt.code)
				r := p.request(http.MethodPost, "/oauth/token", refreshForm(first.Refresh))
				r.SetBasicAuth(clientID, "wrong")
				p.mustFail(parseTokens(p.t, p.do(&http.Client{Transport: p.transport}, r)), http.StatusUnauthorized, "invalid_client")
				if l := provider.Ledger(); l.Reuse != 1 || l.Revoked != 1 {
					t.Errorf("ledger %+v", l)
				}
			})
		})
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	for _, policy := range []op.Policy{
		{Rotation: "sometimes"}, {Grace: 1}, {Rotation: op.RotateNone, Grace: 1}, {Rotation: op.RotateGraceSame},
		{Rotation: op.RotateGraceFork, Grace: -1}, {DeadStatus: 200}, {DeadStatus: 600},
	} {
		if provider.SetPolicy(policy) == nil {
			t.Errorf("taken: %+v", policy)
		}
	}
	for _, body := range []string{`{"policy":{"rotation":"sometimes"}}`, `{"policy":{"grace":5}}`, `{"policy":{"spare":true}}`} {
		if got := control(p, body); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, got.status)
		}
	}
}
