package rp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lamplighter/lamplighter/pkg/session"
)

const good = `"access_token":"a","token_type":"Bearer","expires_in":60`

func generic() session.Profile {
	p, _ := session.ProfileNamed("generic")
	return p
}

// rows lists the table of the profile generic; TestClassify fails for a row that is not in it, or that has
// no case.
func rows() []row {
	return []row{
		rowNotWritten, rowNoAnswer, rowContradiction, rowCodeDead, rowCodeMisconfigured, rowCodeTransient, rowStatusMisconfigured, rowStatusTransient,
		rowServer, rowRedirect, rowRefused, rowOdd, rowUnreadable, rowUnusable, rowForeign, rowRenewed,
	}
}

// idToken makes a well-formed ID Token; classify does not look at the signature.
func idToken(t testing.TB, claims map[string]any) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestClassify(t *testing.T) {
	t.Parallel()
	const dead, unknown, transient, refused, misconf = session.Dead, session.Unknown, session.Transient, session.Refused, session.Misconfigured
	id := func(iss, sub string, aud any) string {
		return `{` + good + `,"id_token":"` + idToken(t, map[string]any{"iss": iss, "sub": sub, "aud": aud}) + `"}`
	}
	long := strings.Repeat("x", maxBody)
	tests := []struct {
		name  string
		reply reply
		want  session.Class
		row   row
	}{
		{"not written", reply{err: errors.New("refused")}, transient, rowNotWritten},
		{"written, no answer", reply{sent: true, err: errors.New("reset")}, unknown, rowNoAnswer},

		{"invalid_grant", answer(400, `{"error":"invalid_grant"}`), dead, rowCodeDead},
		{"invalid_grant with more", answer(400, `{"error":"invalid_grant","error_description":"x","other":{"a":[1]}}`), dead, rowCodeDead},
		{"invalid_grant as 200", answer(200, `{"error":"invalid_grant"}`), dead, rowCodeDead},
		{"invalid_grant as 401", answer(401, `{"error":"invalid_grant"}`), dead, rowCodeDead},
		{"invalid_grant twice", answer(400, `{"error":"invalid_grant","error":"invalid_grant"}`), refused, rowRefused},
		{"invalid_grant, then more", answer(400, `{"error":"invalid_grant"} x`), refused, rowRefused},
		{"invalid_grant in another case", answer(400, `{"error":"INVALID_GRANT"}`), refused, rowRefused},
		{"member in another case", answer(400, `{"Error":"invalid_grant"}`), refused, rowRefused},
		{"invalid_grant in a text", answer(400, `invalid_grant`), refused, rowRefused},
		{"invalid_grant in a list", answer(400, `["invalid_grant"]`), refused, rowRefused},
		{"invalid_grant, cut", reply{sent: true, status: 400, body: []byte(`{"error":"invalid_grant"}`)}, refused, rowRefused},

		{"invalid_client", answer(400, `{"error":"invalid_client"}`), misconf, rowCodeMisconfigured},
		{"unauthorized_client", answer(400, `{"error":"unauthorized_client"}`), misconf, rowCodeMisconfigured},
		{"invalid_client as 500", answer(500, `{"error":"invalid_client"}`), misconf, rowCodeMisconfigured},
		{"401", answer(401, ``), misconf, rowStatusMisconfigured},
		{"401 of another kind", answer(401, `{"error":"temporarily_unavailable"}`), transient, rowCodeTransient},

		{"temporarily_unavailable", answer(400, `{"error":"temporarily_unavailable"}`), transient, rowCodeTransient},
		{"slow_down", answer(400, `{"error":"slow_down"}`), transient, rowCodeTransient},
		{"temporarily_unavailable as 500", answer(500, `{"error":"temporarily_unavailable"}`), transient, rowCodeTransient},
		{"429", answer(429, `<html>`), transient, rowStatusTransient},
		{"503", answer(503, `<html>`), transient, rowStatusTransient},

		{"500", answer(500, `oops`), unknown, rowServer},
		{"500 server_error", answer(500, `{"error":"server_error"}`), unknown, rowServer},
		{"502", answer(502, ``), unknown, rowServer},
		{"504", answer(504, ``), unknown, rowServer},
		{"599", answer(599, ``), unknown, rowServer},
		{"302", answer(302, ``), unknown, rowRedirect},
		{"307", answer(307, ``), unknown, rowRedirect},
		{"101", answer(101, ``), unknown, rowOdd},
		{"600", answer(600, `{`+good+`}`), unknown, rowOdd},

		{"invalid_request", answer(400, `{"error":"invalid_request"}`), refused, rowRefused},
		{"invalid_scope", answer(400, `{"error":"invalid_scope"}`), refused, rowRefused},
		{"400", answer(400, ``), refused, rowRefused},
		{"403", answer(403, `<html>`), refused, rowRefused},
		{"404", answer(404, ``), refused, rowRefused},
		{"400 with tokens", answer(400, `{`+good+`}`), refused, rowRefused},

		{"no body", answer(200, ``), unknown, rowUnreadable},
		{"204", answer(204, ``), unknown, rowUnreadable},
		{"HTML", answer(200, `<html>`), unknown, rowUnreadable},
		{"half JSON", answer(200, `{"access_token":"a"`), unknown, rowUnreadable},
		{"form", answer(200, `access_token=a&token_type=bearer`), unknown, rowUnreadable},
		{"list", answer(200, `[{`+good+`}]`), unknown, rowUnreadable},
		{"null", answer(200, `null`), unknown, rowUnreadable},
		{"cut", reply{sent: true, status: 200, body: []byte(`{` + good + `}`)}, unknown, rowUnreadable},
		{"one member twice", answer(200, `{`+good+`,"access_token":"b"}`), unknown, rowUnreadable},
		{"one member twice, escaped", answer(200, `{`+good+`,"access\u005ftoken":"b"}`), unknown, rowUnreadable},
		{"any member twice", answer(200, `{`+good+`,"x":1,"x":1}`), unknown, rowUnreadable},
		{"more after it", answer(200, `{`+good+`}{}`), unknown, rowUnreadable},
		{"not UTF-8", answer(200, "{"+good+",\"x\":\"\xff\"}"), unknown, rowUnreadable},

		{"no access token", answer(200, `{"token_type":"Bearer"}`), unknown, rowUnusable},
		{"empty access token", answer(200, `{"access_token":"","token_type":"Bearer"}`), unknown, rowUnusable},
		{"null access token", answer(200, `{"access_token":null,"token_type":"Bearer"}`), unknown, rowUnusable},
		{"number as access token", answer(200, `{"access_token":1,"token_type":"Bearer"}`), unknown, rowUnusable},
		{"line end in access token", answer(200, `{"access_token":"a\r\nX: y","token_type":"Bearer"}`), unknown, rowUnusable},
		{"space in access token", answer(200, `{"access_token":"a b","token_type":"Bearer"}`), unknown, rowUnusable},
		{"broken surrogate in access token", answer(200, `{"access_token":"a\ud800","token_type":"Bearer"}`), unknown, rowUnusable},
		{"DPoP", answer(200, `{"access_token":"a","token_type":"DPoP"}`), unknown, rowUnusable},
		{"number as token type", answer(200, `{"access_token":"a","token_type":1}`), unknown, rowUnusable},
		{"number as refresh token", answer(200, `{`+good+`,"refresh_token":1}`), unknown, rowUnusable},
		{"NUL in refresh token", answer(200, `{`+good+`,"refresh_token":"a\u0000"}`), unknown, rowUnusable},
		{"200 with an unknown error", answer(200, `{"error":"what"}`), unknown, rowUnusable},
		{"200 with tokens and an error", answer(200, `{`+good+`,"error":"invalid_grant"}`), unknown, rowContradiction},

		{"tokens", answer(200, `{`+good+`}`), session.Renewed, rowRenewed},
		{"201", answer(201, `{`+good+`}`), session.Renewed, rowRenewed},
		{"bearer", answer(200, `{"access_token":"a","token_type":"bEARER"}`), session.Renewed, rowRenewed},
		{"no token type", answer(200, `{"access_token":"a"}`), session.Renewed, rowRenewed},
		{"nothing but the access token", answer(200, `{"access_token":"a","token_type":"","refresh_token":"","id_token":null,"expires_in":null,"error":null}`), session.Renewed, rowRenewed},
		{"spaces around", answer(200, " \n{"+good+"}\n"), session.Renewed, rowRenewed},
		{"long", answer(200, `{`+good+`,"x":"`+long[:maxBody-100]+`"}`), session.Renewed, rowRenewed},

		{"our id_token", answer(200, id("https://op", "u", "us")), session.Renewed, rowRenewed},
		{"id_token for us and others", answer(200, id("https://op", "u", []string{"x", "us"})), session.Renewed, rowRenewed},
		{"id_token of an issuer without scheme", answer(200, id("op", "u", "us")), session.Renewed, rowRenewed},
		{"id_token that is none", answer(200, `{`+good+`,"id_token":"x"}`), session.Renewed, rowRenewed},
		{"id_token of another issuer", answer(200, id("https://other", "u", "us")), session.Foreign, rowForeign},
		{"id_token of another user", answer(200, id("https://op", "v", "us")), session.Foreign, rowForeign},
		{"id_token without user", answer(200, id("https://op", "", "us")), session.Foreign, rowForeign},
		{"id_token of another client", answer(200, id("https://op", "u", "them")), session.Foreign, rowForeign},
		{"id_token of nobody", answer(200, id("https://op", "u", []string{})), session.Foreign, rowForeign},
	}
	hitRow, hitClass := map[row]bool{}, map[session.Class]bool{}
	for _, tt := range tests {
		got := classify(generic(), tt.reply, expected{issuer: "https://op", clientID: "us", subject: "u"})
		if got.class != tt.want || got.row != tt.row {
			t.Errorf("%s: %v by %q, want %v by %q", tt.name, got.class, got.row, tt.want, tt.row)
		}
		hitRow[got.row], hitClass[got.class] = true, true
	}
	for _, row := range rows() {
		if !hitRow[row] {
			t.Errorf("no case for the row %q", row)
		}
		delete(hitRow, row)
	}
	if len(hitRow) > 0 {
		t.Errorf("rows that rows() lacks: %v", hitRow)
	}
	for _, class := range session.Classes() {
		if !hitClass[class] {
			t.Errorf("no case for the class %v", class)
		}
	}
}

func answer(status int, body string) reply {
	return reply{sent: true, status: status, body: []byte(body), whole: true}
}

func TestTokensOfAnAnswer(t *testing.T) {
	t.Parallel()
	v := classify(generic(), answer(200, `{"access_token":"aa","token_type":"Bearer","refresh_token":"rr","id_token":"ii","expires_in":60,"scope":"x"}`), expected{})
	if v.tokens.access.Reveal() != "aa" || v.tokens.refresh.Reveal() != "rr" || v.tokens.id.Reveal() != "ii" || v.tokens.life != time.Minute {
		t.Errorf("got %q %q %q %v", v.tokens.access.Reveal(), v.tokens.refresh.Reveal(), v.tokens.id.Reveal(), v.tokens.life)
	}
	v = classify(generic(), answer(200, `{"access_token":"aa"}`), expected{})
	if !v.tokens.refresh.IsZero() || !v.tokens.id.IsZero() || v.tokens.life != session.DefaultLifetime || v.tokens.lifeKnown {
		t.Errorf("a bare answer gives %+v", v)
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]time.Duration{ // 0: counts as missing
		`60`: time.Minute, `60.9`: time.Minute, `"60"`: time.Minute, `" 60 "`: time.Minute, `"60.9"`: time.Minute, `6e1`: time.Minute,
		`1`: time.Second, `86400`: 24 * time.Hour, `86401`: 24 * time.Hour, `1e10`: 24 * time.Hour, `1e999`: 24 * time.Hour, `"1e999"`: 24 * time.Hour,
		`99999999999999999999999`: 24 * time.Hour, `3599.99`: 3599 * time.Second,
		`0`: 0, `-0`: 0, `-1`: 0, `-1e999`: 0, `0.9`: 0, `1e-999`: 0, `"0"`: 0, `"-5"`: 0, ``: 0, `null`: 0, `true`: 0, `false`: 0, `""`: 0, `" "`: 0,
		`"abc"`: 0, `"null"`: 0, `"true"`: 0, `"inf"`: 0, `"NaN"`: 0, `"0x10"`: 0, `"1_000"`: 0, `"+60"`: 0, `"60s"`: 0, `"060"`: 0, `{}`: 0, `[60]`: 0, `"\"60\""`: 0,
	} {
		got, ok := lifetime(json.RawMessage(raw))
		if got != want || ok != (want > 0) {
			t.Errorf("expires_in %s: %v, %v; want %v", raw, got, ok, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"": "", "invalid_grant": "invalid_grant", "not_allowed": "not_allowed", "Invalid": "not a code", "a b": "not a code", "e1": "not a code",
		"é": "not a code", "a\n": "not a code", strings.Repeat("a", 40): strings.Repeat("a", 40), strings.Repeat("a", 41): "not a code",
	} {
		if got := printable(code); got != want {
			t.Errorf("printable(%q) = %q, want %q", code, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, body := range []string{
		`{` + good + `}`, `{"error":"invalid_grant"}`, `{` + good + `,"refresh_token":"r","id_token":"a.b.c"}`, `{"a":1,"a":2}`, `[`, "", "null", "{}}",
		`{"access_token":"a","expires_in":"1e400"}`, `{"error":"invalid_grant","access_token":"a"}`,
	} {
		for _, status := range []int{0, 200, 204, 302, 400, 401, 429, 500, 503, 999} {
			f.Add(true, true, status, body)
		}
	}
	f.Add(false, true, 200, `{`+good+`}`)
	f.Add(true, false, 200, `{`+good+`}`)
	f.Fuzz(func(t *testing.T, sent, whole bool, status int, body string) {
		v := classify(generic(), reply{sent: sent, whole: whole, status: status, body: []byte(body), err: errors.New("x")}, expected{issuer: "https://op", clientID: "us", subject: "u"})
		if !slices.Contains(session.Classes(), v.class) || !slices.Contains(rows(), v.row) {
			t.Fatalf("class %d, row %q", v.class, v.row)
		}
		if !sent != (v.row == rowNotWritten) {
			t.Fatalf("sent %v is %q", sent, v.row)
		}
		if v.class == session.Renewed {
			if !sent || !whole || status/100 != 2 || v.tokens.access.IsZero() || v.tokens.life < time.Second || v.tokens.life > session.MaxLifetime {
				t.Fatalf("renewed by %d %q: %+v", status, body, v.tokens)
			}
			for _, token := range []string{v.tokens.access.Reveal(), v.tokens.refresh.Reveal()} {
				if strings.ContainsAny(token, "\r\n\x00") {
					t.Fatalf("token %q", token)
				}
			}
			var plain map[string]any // what another reader sees
			if err := json.Unmarshal([]byte(body), &plain); err != nil || plain["access_token"] != v.tokens.access.Reveal() || plain["error"] != nil && plain["error"] != "" {
				if _, text := plain["error"].(string); text || err != nil || plain["access_token"] != v.tokens.access.Reveal() {
					t.Fatalf("another reader of %q sees %v, %v", body, plain, err)
				}
			}
			return
		}
		if !v.tokens.access.IsZero() || !v.tokens.refresh.IsZero() {
			t.Fatalf("%v with tokens", v.class)
		}
		if v.class == session.Dead && !strings.Contains(body, "invalid") && !strings.Contains(body, `\u`) {
			t.Fatalf("dead by %q", body)
		}
		if text := v.problem(reply{status: status, err: errors.New("x")}).Error(); len(text) > 200 || strings.ContainsAny(text, "\r\n") {
			t.Fatalf("problem %q", text)
		}
	})
}
