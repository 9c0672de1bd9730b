package op_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/lamplighter/lamplighter/test/op"
)

// A test can switch the fault from one request to the next.
func TestChoosePerRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		var asked []string
		provider.SetChoose(func(n int, grant string) op.Fault {
			asked = append(asked, fmt.Sprint(n, " ", grant))
			switch n {
			case 2:
				return op.Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"}, Times: 9, GrantType: "authorization_code"}
			case 3:
				return op.Fault{Unsent: op.UnsentTLS}
			case 4:
				return op.Fault{CutBefore: true}
			case 6:
				return op.Fault{Edit: &op.Edit{Drop: []string{"refresh_token"}}}
			}
			return op.Fault{}
		})
		got := p.login("ada")
		if r, err := p.try(t.Context(), got.Refresh); err != nil || r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "7" {
			t.Errorf("second: %d, %v", r.status, err)
		}
		for range 2 {
			if r, err := p.try(t.Context(), got.Refresh); err == nil {
				t.Errorf("third and fourth: %d", r.status)
			}
		}
		mustSet(t, provider, op.Fault{Times: 1, Status: http.StatusBadGateway})
		if r, err := p.try(t.Context(), got.Refresh); err != nil || r.status != http.StatusBadGateway {
			t.Errorf("fifth, which is another fault's: %d, %v", r.status, err)
		}
		if next := p.mustRefresh(got.Refresh); next.Refresh != "" {
			t.Errorf("sixth: %v", next)
		}
		want := []string{"1 authorization_code", "2 refresh_token", "3 refresh_token", "4 refresh_token", "6 refresh_token"}
		if !slices.Equal(asked, want) {
			t.Errorf("asked for %q, want %q", asked, want)
		}
		if l := provider.Ledger(); l.Consumed["f1"] != 1 || l.Reuse != 0 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestChooseEnds(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	down := func(int, string) op.Fault { return op.Fault{Status: http.StatusServiceUnavailable, Body: "{}"} }
	for name, end := range map[string]func(){
		"nil":         func() { provider.SetChoose(nil) },
		"ClearFaults": provider.ClearFaults,
	} {
		provider.SetChoose(down)
		p.mustFail(p.refresh("x"), http.StatusServiceUnavailable, "")
		end()
		if got := p.refresh("x"); got.status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A mistake in the choice must not pass for an answer of the provider.
func TestChooseOfAFaultThatCannotBe(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	provider.SetChoose(func(int, string) op.Fault { return op.Fault{Status: 99} })
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	p.refresh("x")
}
