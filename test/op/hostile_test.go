package op_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

// everywhere runs test over a real connection, and in process in fake time.
func everywhere(t *testing.T, test func(t *testing.T, provider *op.Provider, p *party)) {
	t.Helper()
	quick := func(o *op.Options) { o.ES256 = true } // an RSA key costs more than the test
	t.Run("network", func(t *testing.T) {
		t.Parallel()
		provider, p := serve(t, quick)
		test(t, provider, p)
	})
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			provider, p := inProcess(t, quick)
			test(t, provider, p)
		})
	})
}

// try refreshes and follows no redirect. The reply holds what arrived before the
// error.
func (p *party) try(ctx context.Context, token string) (reply, error) {
	r := p.request(http.MethodPost, "/oauth/token", refreshForm(token)).WithContext(ctx)
	r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
	client := &http.Client{Transport: p.transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body), r.URL}, err
}

func mustSet(t *testing.T, provider *op.Provider, f op.Fault) {
	t.Helper()
	if err := provider.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

func outcomes(provider *op.Provider) map[string]int {
	return provider.Ledger().ReceivedBy["refresh_token"]
}

// A refusal consumes nothing, whatever it looks like.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const page = "<html><h1>down for maintenance</h1></html>"
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for name, tt := range map[string]struct {
		fault   op.Fault
		header  string // of the answer, "Name: value"
		body    string
		outcome string
	}{
		"429, seconds":           {op.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, "Retry-After: 7", "", "429"},
		"503, a date":            {op.Fault{Status: 503, Header: map[string]string{"Retry-After": date}}, "Retry-After: " + date, "", "503"},
		"503, garbage":           {op.Fault{Status: 503, Header: map[string]string{"Retry-After": "soon"}}, "Retry-After: soon", "", "503"},
		"503, huge":              {op.Fault{Status: 503, Header: map[string]string{"Retry-After": "99999999999999999999"}}, "Retry-After: 99999999999999999999", "", "503"},
		"502, HTML":              {op.Fault{Status: 502, Header: map[string]string{"Content-Type": "text/html"}, Body: page}, "Content-Type: text/html", page, "502"},
		"500, JSON":              {op.Fault{Status: 500, Body: `{"error":"server_error"}`}, "Content-Type: application/json", `{"error":"server_error"}`, "500 server_error"},
		"307 elsewhere":          {op.Fault{Status: 307, Header: map[string]string{"Location": "https://else.where/"}}, "Location: https://else.where/", "", "307"},
		"302 elsewhere":          {op.Fault{Status: 302, Header: map[string]string{"Location": "/login"}}, "Location: /login", "", "302"},
		"200 with an error":      {op.Fault{Status: 200, Body: `{"error":"invalid_grant"}`}, "Content-Type: application/json", `{"error":"invalid_grant"}`, "200 invalid_grant"},
		"200, broken JSON":       {op.Fault{Status: 200, Body: `{"access_token":`}, "Content-Type: text/plain; charset=utf-8", `{"access_token":`, "200"},
		"200, duplicate members": {op.Fault{Status: 200, Body: `{"a":1,"a":2}`}, "Content-Type: application/json", `{"a":1,"a":2}`, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, provider *op.Provider, p *party) {
				got := p.login("ada")
				fault := tt.fault
				fault.Times, fault.GrantType = 1, "refresh_token"
				mustSet(t, provider, fault)
				r, err := p.try(t.Context(), got.Refresh)
				if err != nil {
					t.Fatal(err)
				}
				field, value, _ := strings.Cut(tt.header, ": ")
				if r.status != tt.fault.Status || r.header.Get(field) != value || r.body != tt.body {
					t.Errorf("%d, %s %q, %q", r.status, field, r.header.Get(field), r.body)
				}
				if l := provider.Ledger(); l.Consumed["f1"] != 0 || outcomes(provider)[tt.outcome] != 1 {
					t.Errorf("ledger %+v", l)
				}
				p.mustRefresh(got.Refresh)
				if l := provider.Ledger(); l.Reuse != 0 {
					t.Errorf("the token was spent: %+v", l)
				}
			})
		})
	}
}

func TestCutConnections(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault    op.Fault
		outcome  string
		consumed int
	}{
		"before it commits": {op.Fault{CutBefore: true}, op.Cut, 0},
		"after it commits":  {op.Fault{CutAfter: true}, "200 lost", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, provider *op.Provider, p *party) {
				got := p.login("ada")
				fault := tt.fault
				fault.Times = 1
				mustSet(t, provider, fault)
				if r, err := p.try(t.Context(), got.Refresh); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("the caller got %v, %v", r, err)
				}
				want := map[string]int{tt.outcome: 1}
				if l := provider.Ledger(); l.Consumed["f1"] != tt.consumed || !maps.Equal(outcomes(provider), want) {
					t.Errorf("ledger %+v, want %v", l, want)
				}
				if r, err := p.try(t.Context(), got.Refresh); err != nil || (r.status == http.StatusOK) != (tt.consumed == 0) {
					t.Errorf("the same token again: %d %v", r.status, err)
				}
				if l := provider.Ledger(); l.Reuse != tt.consumed || l.ConsumedTwice != tt.consumed || l.Consumed["f1"] != 1 {
					t.Errorf("after the token came back: %+v", l)
				}
			})
		})
	}
}

func TestTenMegabytes(t *testing.T) {
	t.Parallel()
	const size = 10 << 20
	everywhere(t, func(t *testing.T, provider *op.Provider, p *party) {
		got := p.login("ada")
		mustSet(t, provider, op.Fault{Times: 1, Pad: size})
		r, err := p.try(t.Context(), got.Refresh)
		if err != nil || len(r.body) != size {
			t.Fatalf("%d bytes, %v", len(r.body), err)
		}
		if next := parseTokens(t, r); next.Refresh == "" || provider.Ledger().Consumed["f1"] != 1 {
			t.Errorf("not a good answer below the padding: %v", next)
		}
	})
}

// The header comes at once and the body never ends within any deadline.
func TestSlowDrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		provider, p := inProcess(t, nil)
		got := p.login("ada")
		mustSet(t, provider, op.Fault{Times: 2, Drip: op.Duration(time.Second)})
		start := time.Now()
		r, err := p.try(t.Context(), got.Refresh)
		if err != nil || time.Since(start) != time.Duration(len(r.body))*time.Second {
			t.Fatalf("%d bytes in %v: %v", len(r.body), time.Since(start), err)
		}
		next := parseTokens(t, r)
		start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
		defer cancel()
		r, err = p.try(ctx, next.Refresh)
		if !errors.Is(err, context.DeadlineExceeded) || r.status != http.StatusOK || len(r.body) != 10 || time.Since(start) != 10500*time.Millisecond {
			t.Errorf("%d %q after %v: %v", r.status, r.body, time.Since(start), err)
		}
		if l := provider.Ledger(); l.Consumed["f1"] != 2 {
			t.Errorf("ledger %+v", l)
		}
	})
}

func TestSlowDripOverTheNetwork(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	mustControl(p, op.Control{Fault: &op.Fault{Times: 1, Drip: op.Duration(time.Microsecond)}})
	next := p.mustRefresh(got.Refresh)

	mustControl(p, op.Control{Fault: &op.Fault{Times: 1, Drip: op.Duration(time.Hour)}})
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		r, err := p.try(ctx, next.Refresh)
		if err == nil || r.status != http.StatusOK || r.body != "" {
			err = errors.Join(err, errors.New("not cut after the header"))
		}
		done <- err
	}()
	eventually(t, "answered", func() bool { return outcomes(provider)["200"] == 2 })
	hangUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	eventually(t, "lost", func() bool { return outcomes(provider)["200 lost"] == 1 && provider.Tally().Open == 0 })
}

func TestCloseEndsADrip(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, provider *op.Provider, p *party) {
		got := p.login("ada")
		mustSet(t, provider, op.Fault{Drip: op.Duration(time.Hour)})
		done := make(chan error, 1)
		go func() {
			_, err := p.try(t.Context(), got.Refresh)
			done <- err
		}()
		eventually(t, "answered", func() bool { return provider.Ledger().Consumed["f1"] == 1 })
		provider.Close()
		if err := <-done; err == nil {
			t.Error("a whole answer arrived")
		}
	})
}

func TestRandomDelayFollowsTheSeed(t *testing.T) {
	t.Parallel()
	const low, high = time.Second, 3 * time.Second
	delays := func(t *testing.T, seed uint64) (out []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			provider, p := inProcess(t, func(o *op.Options) { o.Seed = seed })
			got := p.login("ada")
			mustSet(t, provider, op.Fault{Delay: op.Duration(low), DelayMax: op.Duration(high)})
			for range 50 {
				start := time.Now()
				got = p.mustRefresh(got.Refresh)
				out = append(out, time.Since(start))
			}
		})
		return out
	}
	first, again, other := delays(t, 1), delays(t, 1), delays(t, 2)
	least, most, same := high, low, 0
	for i, d := range first {
		if d < low || d > high || again[i] != d {
			t.Errorf("delay %d: %v, with the same seed %v", i, d, again[i])
		}
		if other[i] == d {
			same++
		}
		least, most = min(least, d), max(most, d)
	}
	if most-least < (high-low)/2 || same > 5 {
		t.Errorf("delays from %v to %v, %d of another seed the same", least, most, same)
	}
}

func TestFaultsThatCannotBe(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	for _, f := range []op.Fault{
		{GrantType: "password"}, {Times: -1}, {Delay: -1}, {Drip: -1}, {Delay: 2, DelayMax: 1},
		{Unsent: "sometimes"}, {Status: 99}, {Status: 600}, {Body: "x"}, {Header: map[string]string{"A": "b"}},
		{Status: 503, Header: map[string]string{"": "x"}}, {Status: 503, Header: map[string]string{"A": "b\r\nC: d"}},
		{Status: 503, Header: map[string]string{"A B": "c"}}, {Pad: -1}, {Pad: 1 << 30},
		{Edit: &op.Edit{Status: 1}}, {Edit: &op.Edit{Truncate: -1}}, {Edit: &op.Edit{Header: map[string]string{"A": "\n"}}},
		{Edit: &op.Edit{Set: map[string]json.RawMessage{"expires_in": []byte("x")}}},
		{Edit: &op.Edit{Repeat: map[string]json.RawMessage{"expires_in": nil}}},
		{Edit: &op.Edit{IDToken: &op.IDTokenEdit{Set: map[string]json.RawMessage{"sub": []byte("me")}}}},
	} {
		if provider.SetFault(f) == nil {
			t.Errorf("taken: %+v", f)
		}
	}
	p.mustRefresh(p.login("ada").Refresh)
}
