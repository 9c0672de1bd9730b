package op_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/lamplighter/lamplighter/test/op"
)

func raw(name, value string) map[string]json.RawMessage {
	return map[string]json.RawMessage{name: json.RawMessage(value)}
}

func members(t *testing.T, body string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return m
}

// edited refreshes once under e. Whatever the answer looks like, its tokens were
// given: what was presented is spent.
func edited(t *testing.T, e op.Edit, look func(t *testing.T, p *party, r reply)) {
	t.Helper()
	t.Parallel()
	everywhere(t, func(t *testing.T, provider *op.Provider, p *party) {
		got := p.login("ada")
		mustControl(p, op.Control{Fault: &op.Fault{GrantType: "refresh_token", Times: 1, Edit: &e}})
		r, err := p.try(t.Context(), got.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		look(t, p, r)
		if l := provider.Ledger(); l.Consumed["f1"] != 1 {
			t.Errorf("ledger %+v, want one generation consumed", l)
		}
		p.mustFail(p.refresh(got.Refresh), http.StatusBadRequest, "invalid_grant")
		if l := provider.Ledger(); l.Reuse != 1 {
			t.Errorf("the presented token was not spent: %+v", l)
		}
	})
}

// The value goes out as it was written: 1e300 is no float64 on its way.
func TestExpiresInAsWritten(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"null", "0", "-60", `"3600"`, "3600.5", "1e10", "1e300", "true"} {
		t.Run(value, func(t *testing.T) {
			edited(t, op.Edit{Set: raw("expires_in", value)}, func(t *testing.T, p *party, r reply) {
				if r.status != http.StatusOK || !strings.Contains(r.body, `"expires_in":`+value+`,`) {
					t.Errorf("%d %s", r.status, r.body)
				}
				m := members(t, r.body)
				if len(m["access_token"]) == 0 || len(m["refresh_token"]) == 0 || len(m["id_token"]) == 0 {
					t.Errorf("more than expires_in was changed: %v", slices.Sorted(maps.Keys(m)))
				}
			})
		})
	}
}

func TestMembersLeftOut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"expires_in", "refresh_token", "id_token", "access_token"} {
		t.Run(name, func(t *testing.T) {
			edited(t, op.Edit{Drop: []string{name}}, func(t *testing.T, p *party, r reply) {
				want := []string{"access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"}
				want = slices.DeleteFunc(want, func(n string) bool { return n == name })
				if got := slices.Sorted(maps.Keys(members(t, r.body))); !slices.Equal(got, want) {
					t.Errorf("members %v, want %v", got, want)
				}
			})
		})
	}
}

func TestNoIDTokenOnRefresh(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	got := p.login("ada")
	off, on := false, true
	mustControl(p, op.Control{IDTokenOnRefresh: &off})
	if got = p.mustRefresh(got.Refresh); got.ID != "" || got.Refresh == "" {
		t.Errorf("switched off: %v", got)
	}
	mustControl(p, op.Control{IDTokenOnRefresh: &on})
	if got = p.mustRefresh(got.Refresh); got.ID == "" {
		t.Errorf("switched on: %v", got)
	}
}

func TestBodiesThatSpoilTokens(t *testing.T) {
	t.Parallel()
	const page = "<html>sign in</html>"
	for name, tt := range map[string]struct {
		edit op.Edit
		good func(r reply) bool
	}{
		"duplicate key": {op.Edit{Repeat: raw("access_token", `"another"`)}, func(r reply) bool {
			return strings.Count(r.body, `"access_token":`) == 2 && strings.HasSuffix(r.body, `,"access_token":"another"}`)
		}},
		"broken JSON": {op.Edit{Truncate: 3}, func(r reply) bool {
			return !json.Valid([]byte(r.body)) && strings.HasPrefix(r.body, `{"access_token":`)
		}},
		"cut to nothing": {op.Edit{Truncate: 1 << 20}, func(r reply) bool { return r.body == "" }},
		"HTML": {op.Edit{Body: page, Header: map[string]string{"Content-Type": "text/html"}}, func(r reply) bool {
			return r.body == page && r.header.Get("Content-Type") == "text/html"
		}},
		"wrong content type": {op.Edit{Header: map[string]string{"Content-Type": "text/html"}}, func(r reply) bool {
			return json.Valid([]byte(r.body)) && r.header.Get("Content-Type") == "text/html"
		}},
		"200 with an error beside the tokens": {op.Edit{Set: raw("error", `"server_error"`)}, func(r reply) bool {
			return r.status == http.StatusOK && strings.Contains(r.body, `"error":"server_error"`) && strings.Contains(r.body, `"access_token":`)
		}},
		"502 of a proxy": {op.Edit{Status: 502, Body: page}, func(r reply) bool { return r.status == 502 && r.body == page }},
		"a redirect": {op.Edit{Status: 302, Header: map[string]string{"Location": "/login"}}, func(r reply) bool {
			return r.status == 302 && r.header.Get("Location") == "/login"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			edited(t, tt.edit, func(t *testing.T, p *party, r reply) {
				if !tt.good(r) {
					t.Errorf("%d %v %q", r.status, r.header, r.body)
				}
			})
		})
	}
}

// One claim is another's, and the signature is good all the same.
func TestIDTokenOfAnother(t *testing.T) {
	t.Parallel()
	for claim, value := range map[string]string{"sub": `"mallory"`, "iss": `"https://else.where"`, "aud": `["other"]`} {
		t.Run(claim, func(t *testing.T) {
			edit := op.Edit{IDToken: &op.IDTokenEdit{Set: raw(claim, value), Drop: []string{"auth_time"}}}
			edited(t, edit, func(t *testing.T, p *party, r reply) {
				got := p.claims(parseTokens(t, r).ID)
				if text, _ := json.Marshal(got[claim]); string(text) != value {
					t.Errorf("%s is %s, want %s", claim, text, value)
				}
				if got["auth_time"] != nil {
					t.Error("auth_time was not dropped")
				}
				for name, usual := range map[string]any{"iss": p.issuer, "azp": clientID} {
					if name != claim && got[name] != usual {
						t.Errorf("%s is %v, want %v", name, got[name], usual)
					}
				}
			})
		})
	}
}

func TestIDTokenOfAnUnknownKey(t *testing.T) {
	t.Parallel()
	for _, es256 := range []bool{false, true} {
		t.Run(map[bool]string{false: "RS256", true: "ES256"}[es256], func(t *testing.T) {
			t.Parallel()
			_, p := inProcess(t, func(o *op.Options) { o.ES256 = es256 })
			got := p.login("ada")
			mustControl(p, op.Control{Fault: &op.Fault{Times: 1, Edit: &op.Edit{IDToken: &op.IDTokenEdit{UnknownKey: true}}}})
			strange, usual := p.mustRefresh(got.Refresh), got
			if kid := kidOf(t, strange.ID); kid == "" || kid == kidOf(t, usual.ID) || strings.Contains(p.get("/keys").body, kid) {
				t.Errorf("kid %q is published", kid)
			}
			if usual = p.mustRefresh(strange.Refresh); !strings.Contains(p.get("/keys").body, kidOf(t, usual.ID)) {
				t.Error("the provider's own key was exchanged")
			}
		})
	}
}

func kidOf(t *testing.T, idToken string) string {
	t.Helper()
	jws, err := jose.ParseSigned(idToken, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}

// A login's answer can be edited as well; it makes a family.
func TestEditOfALogin(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	mustControl(p, op.Control{Fault: &op.Fault{GrantType: "authorization_code", Times: 1, Edit: &op.Edit{Set: raw("expires_in", "1e10")}}})
	got := p.login("ada")
	if got.ExpiresIn != "1e10" || provider.Ledger().ActiveFamilies != 1 {
		t.Errorf("%v, ledger %+v", got, provider.Ledger())
	}
	if got = p.mustRefresh(got.Refresh); got.ExpiresIn != "60" {
		t.Errorf("the next answer: %v", got)
	}
}
