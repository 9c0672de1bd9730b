package op_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	_, p := serve(t, nil)
	before := time.Now().Truncate(time.Second)
	a := newAttempt()
	got := p.token(a.form(p.code(a, everything, "ada")))
	if got.status != http.StatusOK || got.Type != "Bearer" || got.Refresh == "" {
		t.Fatalf("token answer: %+v", got)
	}
	if got.ExpiresIn != "60" {
		t.Errorf("expires_in %q, want exactly 60", got.ExpiresIn)
	}
	c := p.claims(got.ID)
	for name, want := range map[string]any{
		"iss": p.issuer, "azp": clientID, "nonce": a.nonce,
		"name": "ada", "preferred_username": "ada", "email": "ada@example.com",
	} {
		if c[name] != want {
			t.Errorf("claim %s = %v, want %v", name, c[name], want)
		}
	}
	if aud := fmt.Sprint(c["aud"]); aud != clientID && aud != "["+clientID+"]" {
		t.Errorf("aud %v", aud)
	}
	at, _ := c["auth_time"].(float64)
	if signed := time.Unix(int64(at), 0); signed.Before(before) || signed.After(time.Now()) {
		t.Errorf("auth_time %v is not the login", signed)
	}
	var info map[string]any
	if err := json.Unmarshal([]byte(p.userinfo(got.Access).body), &info); err != nil {
		t.Fatal(err)
	}
	if info["sub"] != c["sub"] || info["email"] != "ada@example.com" {
		t.Errorf("userinfo %v does not match the id_token", info)
	}
	p.mustBeAlive(got.Access, true)
	if strings.Contains(got.Access, ".") || strings.Contains(got.Access, c["sub"].(string)) {
		t.Error("the access token is not opaque")
	}
	p.mustBeAlive("AAAA"+got.Access[4:], false)

	next := p.claims(p.mustRefresh(got.Refresh).ID)
	if next["nonce"] != nil || next["auth_time"] != c["auth_time"] || next["sub"] != c["sub"] || next["email"] != c["email"] {
		t.Errorf("refreshed id_token %v, want the same login without its nonce", next)
	}
}

func TestSubjectFollowsFromTheName(t *testing.T) {
	t.Parallel()
	subject := func(name string) any {
		_, p := inProcess(t, nil)
		return p.claims(p.login(name).ID)["sub"]
	}
	one, again, two := subject("ada"), subject("ada"), subject("grace:h <b>")
	if one != again || one == two || strings.Contains(fmt.Sprint(one, two), "grace") {
		t.Errorf("subjects %v, %v and %v", one, again, two)
	}
}

func TestScopesDecide(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	a := newAttempt()
	got := p.token(a.form(p.code(a, "openid", "ada")))
	if got.status != http.StatusOK || got.Refresh != "" || got.ExpiresIn != "60" {
		t.Fatalf("without offline_access: %+v", got)
	}
	if c := p.claims(got.ID); c["email"] != nil || c["name"] != nil || c["sub"] == nil {
		t.Errorf("claims nobody asked for: %v", c)
	}
}

func TestPKCEIsRequired(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	for name, edit := range map[string]func(url.Values){
		"absent": func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") },
		"empty":  func(q url.Values) { q.Del("code_challenge") },
		"plain":  func(q url.Values) { q.Set("code_challenge_method", "plain") },
		"method": func(q url.Values) { q.Del("code_challenge_method") },
	} {
		a := newAttempt()
		query := a.query(everything)
		edit(query)
		q := p.authorize(query).location(t).Query()
		if q.Get("error") != "invalid_request" || q.Get("state") != a.state || q.Get("code") != "" {
			t.Errorf("%s: callback query %v", name, q)
		}
	}
	a := newAttempt()
	code := p.code(a, everything, "ada")
	p.mustFail(p.token(newAttempt().form(code)), http.StatusBadRequest, "invalid_grant")
	none := a.form(code)
	none.Del("code_verifier")
	p.mustFail(p.token(none), http.StatusBadRequest, "invalid_request")
	if got := p.token(a.form(code)); got.status != http.StatusOK {
		t.Fatalf("the right verifier after the wrong ones: %+v", got)
	}
	if got := provider.Ledger().Logins; got != 1 {
		t.Errorf("%d logins, want 1", got)
	}
}

func TestCodeReplayRevokes(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	a := newAttempt()
	code := p.code(a, everything, "ada")
	got := p.token(a.form(code))
	p.mustBeAlive(got.Access, true)
	p.mustFail(p.token(a.form(code)), http.StatusBadRequest, "invalid_grant")
	p.mustBeAlive(got.Access, false)
	p.mustFail(p.refresh(got.Refresh), http.StatusBadRequest, "invalid_grant")
	if l := provider.Ledger(); l.RevokedBy[op.ReasonReplay] != 1 || l.ActiveFamilies != 0 {
		t.Errorf("ledger %+v", l)
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	_, p := inProcess(t, nil)
	got := p.login("ada")
	send := func(id, secret string, inBody bool, token string) tokens {
		form := refreshForm(token)
		r := p.request(http.MethodPost, "/oauth/token", form)
		if inBody {
			form.Set("client_id", id)
			form.Set("client_secret", secret)
			r = p.request(http.MethodPost, "/oauth/token", form)
		} else {
			r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		}
		return parseTokens(t, p.do(&http.Client{Transport: p.transport}, r))
	}
	for _, inBody := range []bool{false, true} {
		p.mustFail(send(clientID, "wrong", inBody, got.Refresh), http.StatusUnauthorized, "invalid_client")
		p.mustFail(send("nobody", clientSecret, inBody, got.Refresh), http.StatusUnauthorized, "invalid_client")
		p.mustFail(send("other", "other", inBody, got.Refresh), http.StatusBadRequest, "invalid_grant")
		if got = send(clientID, clientSecret, inBody, got.Refresh); got.status != http.StatusOK {
			t.Fatalf("in body %v: %+v", inBody, got)
		}
	}
}

func TestTokenEndpointTakesPostOnly(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	got := p.get("/oauth/token?" + refreshForm("x").Encode())
	if got.status != http.StatusMethodNotAllowed || len(provider.Ledger().Received) != 0 {
		t.Errorf("GET: %d, ledger %+v", got.status, provider.Ledger().Received)
	}
}

func TestLoginPage(t *testing.T) {
	t.Parallel()
	provider, p := inProcess(t, nil)
	a := newAttempt()
	shown := p.authorize(a.query(everything))
	if n := strings.Count(shown.body, "<input"); n != 1 || !strings.Contains(shown.body, `name="username"`) {
		t.Fatalf("%d fields: %s", n, shown.body)
	}
	empty := p.signIn(shown, "  ")
	if empty.status != http.StatusBadRequest {
		t.Errorf("an empty name: %d", empty.status)
	}
	if got := p.signIn(empty, "ada").location(t).Query(); got.Get("code") == "" {
		t.Errorf("after the empty name: %v", got)
	}
	if got := p.signIn(shown, "ada").location(t).Query(); got.Get("code") == "" {
		t.Errorf("the form sent twice: %v", got)
	}
	if got := provider.Ledger().Logins; got != 1 {
		t.Errorf("%d logins, want 1", got)
	}
	if got := p.get("/login?id=unknown"); got.status != http.StatusBadRequest {
		t.Errorf("an unknown login: %d", got.status)
	}
}

func TestSilentLogin(t *testing.T) {
	t.Parallel()
	var silent []bool
	_, p := inProcess(t, func(o *op.Options) {
		o.Log = func(e op.Event) {
			if e.Kind == op.KindLogin {
				silent = append(silent, e.Silent)
			}
		}
	})
	prompt := func(key, value string) reply {
		query := newAttempt().query(everything)
		query.Set(key, value)
		return p.authorize(query)
	}
	if got := prompt("prompt", "none").location(t).Query().Get("error"); got != "login_required" {
		t.Errorf("prompt=none without a session: error %q", got)
	}
	first := p.claims(p.login("ada").ID)
	a := newAttempt()
	answer := p.authorize(a.query(everything))
	code := answer.location(t).Query().Get("code")
	second := p.claims(p.token(a.form(code)).ID)
	if second["sub"] != first["sub"] || second["auth_time"] != first["auth_time"] || second["sid"] != first["sid"] {
		t.Errorf("silent login %v, want the first one's %v", second, first)
	}
	if got := prompt("prompt", "none").location(t).Query().Get("code"); got == "" {
		t.Error("prompt=none with a session: no code")
	}
	if got := prompt("prompt", "login"); !strings.Contains(got.body, "<form") {
		t.Errorf("prompt=login: %d %s", got.status, got.body)
	}
	if got := fmt.Sprint(silent); got != "[false true true]" {
		t.Errorf("silent logins %s", got)
	}
}

func TestSecretsRedactThemselves(t *testing.T) {
	t.Parallel()
	c := op.Client{ID: "app", Secret: "hidden"}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("client", "client", c, "secret", c.Secret)
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c.Secret, c.Secret, c.Secret), logged.String(), string(body),
	} {
		if strings.Contains(out, "hidden") || strings.Contains(out, "68696464656e") || !strings.Contains(out, "redacted") {
			t.Errorf("printed: %s", out)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*op.Options){
		"no issuer":       func(o *op.Options) { o.Issuer = "" },
		"issuer path":     func(o *op.Options) { o.Issuer = "http://op.test/realm" },
		"issuer slash":    func(o *op.Options) { o.Issuer = "http://op.test/" },
		"issuer scheme":   func(o *op.Options) { o.Issuer = "ftp://op.test" },
		"no client":       func(o *op.Options) { o.Clients = nil },
		"no secret":       func(o *op.Options) { o.Clients[0].Secret = "" },
		"no redirect uri": func(o *op.Options) { o.Clients[0].RedirectURIs = nil },
		"negative life":   func(o *op.Options) { o.AccessTokenLife = -1 },
	} {
		o := options("http://op.test")
		edit(&o)
		if _, err := op.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
