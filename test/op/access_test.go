package op_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, func(o *op.Options) { o.AccessTokenLife = time.Minute })
		p.login("ada")
		first := p.login("bob")
		begun := time.Now()
		time.Sleep(time.Second)
		second := p.mustRefresh(first.Refresh)
		of := func(token string) op.Access {
			a, ok := provider.Access(token)
			if !ok {
				t.Fatal("an access token that was issued is not known")
			}
			return a
		}
		if got, want := of(first.Access), (op.Access{Family: "f2", Number: 1, Issued: begun, Expires: begun.Add(time.Minute), Live: true}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := of(second.Access); got.Family != "f2" || got.Number != 2 || !got.Issued.Equal(begun.Add(time.Second)) {
			t.Errorf("after a refresh: %+v", got)
		}
		p.refresh(first.Refresh) // reuse ends all of it
		if of(second.Access).Live {
			t.Error("a revoked token lives")
		}
		for _, unknown := range []string{"", first.Refresh, "x" + first.Access} {
			if a, ok := provider.Access(unknown); ok {
				t.Errorf("%q is known: %+v", unknown, a)
			}
		}
	})
}

// The ledger says which fault struck whose token, and what became of it.
func TestNamedFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		for _, f := range []op.Fault{
			{Name: "down", Status: http.StatusServiceUnavailable}, {Name: "cut", CutBefore: true}, {Name: "lost", CutAfter: true}, {},
		} {
			f.Times = 1
			mustSet(t, provider, f)
			_, _ = p.try(t.Context(), got.Refresh)
		}
		want := []op.Received{
			{Seq: 2, GrantType: "refresh_token", Status: 503, Family: "f1", Generation: 1, Fault: "down"},
			{Seq: 3, GrantType: "refresh_token", Error: op.Cut, Family: "f1", Generation: 1, Fault: "cut"},
			{Seq: 4, GrantType: "refresh_token", Status: 200, Family: "f1", Generation: 1, Accepted: true, Lost: true, Fault: "lost"},
			{Seq: 5, GrantType: "refresh_token", Status: 400, Error: "invalid_grant", Family: "f1", Generation: 1, Spent: true},
		}
		if got := provider.Ledger().Received[1:]; !slices.Equal(got, want) {
			t.Errorf("ledger\n got %+v\nwant %+v", got, want)
		}
	})
}
