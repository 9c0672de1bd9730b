package op_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/lamplighter/lamplighter/test/op"
)

const (
	clientID     = "app"
	clientSecret = "s3cret/with+marks"
	callback     = "http://app.test/callback"
	bye          = "http://app.test/bye"
	everything   = "openid profile email offline_access"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the library logs every refusal
	os.Exit(m.Run())
}

func options(issuer string) op.Options {
	return op.Options{Issuer: issuer, Clients: []op.Client{
		{ID: clientID, Secret: clientSecret, RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{bye}},
		{ID: "other", Secret: "other", RedirectURIs: []string{callback}},
	}}
}

// serve runs a provider on a real listener.
func serve(t testing.TB, edit func(*op.Options)) (*op.Provider, *party) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options("http://" + listener.Addr().String())
	if edit != nil {
		edit(&o)
	}
	provider, err := op.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(provider)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(provider.Close)
	return provider, newParty(t, o.Issuer, server.Client().Transport)
}

// inProcess runs a provider without a network, for fake time.
func inProcess(t testing.TB, edit func(*op.Options)) (*op.Provider, *party) {
	t.Helper()
	o := options("https://op.test")
	if edit != nil {
		edit(&o)
	}
	provider, err := op.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	return provider, newParty(t, o.Issuer, provider.RoundTripper())
}

// party is a relying party and the browser in front of it.
type party struct {
	t         testing.TB
	issuer    string
	transport http.RoundTripper
	browser   *http.Client // keeps cookies, follows redirects up to ours
}

func newParty(t testing.TB, issuer string, transport http.RoundTripper) *party {
	p := &party{t: t, issuer: issuer, transport: transport}
	p.newBrowser()
	return p
}

func (p *party) newBrowser() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.browser = &http.Client{Transport: p.transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), p.issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// reply is an HTTP answer, read.
type reply struct {
	status int
	header http.Header
	body   string
	url    *url.URL
}

func (r reply) location(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.header.Get("Location") == "" {
		t.Fatalf("no redirect: %d %s", r.status, r.body)
	}
	return u
}

func (p *party) do(client *http.Client, r *http.Request) reply {
	p.t.Helper()
	response, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body), response.Request.URL}
}

func (p *party) request(method, path string, form url.Values) *http.Request {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	target := path
	if strings.HasPrefix(path, "/") {
		target = p.issuer + path
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, target, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (p *party) get(path string) reply {
	p.t.Helper()
	return p.do(p.browser, p.request(http.MethodGet, path, nil))
}

// post authenticates with client_secret_basic (RFC 6749 section 2.3.1).
func (p *party) post(path string, form url.Values) reply {
	p.t.Helper()
	r := p.request(http.MethodPost, path, form)
	r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret))
	return p.do(&http.Client{Transport: p.transport}, r)
}

// attempt is one authorization request.
type attempt struct{ verifier, state, nonce string }

func newAttempt() attempt { return attempt{rand.Text() + rand.Text(), rand.Text(), rand.Text()} }

func (a attempt) query(scopes string) url.Values {
	sum := sha256.Sum256([]byte(a.verifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback}, "scope": {scopes},
		"state": {a.state}, "nonce": {a.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
}

func (a attempt) form(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {a.verifier}}
}

var action = regexp.MustCompile(`action="([^"]*)"`)

// signIn submits the login page.
func (p *party) signIn(shown reply, username string) reply {
	p.t.Helper()
	found := action.FindStringSubmatch(shown.body)
	if found == nil {
		p.t.Fatalf("no login page: %d %s", shown.status, shown.body)
	}
	return p.do(p.browser, p.request(http.MethodPost, strings.ReplaceAll(found[1], "&amp;", "&"), url.Values{"username": {username}}))
}

func (p *party) authorize(query url.Values) reply {
	p.t.Helper()
	return p.get("/authorize?" + query.Encode())
}

// code signs username in and returns the authorization code.
func (p *party) code(a attempt, scopes, username string) string {
	p.t.Helper()
	answer := p.authorize(a.query(scopes))
	if answer.header.Get("Location") == "" {
		answer = p.signIn(answer, username)
	}
	q := answer.location(p.t).Query()
	if q.Get("state") != a.state || q.Get("code") == "" {
		p.t.Fatalf("callback query %v, want state %s and a code", q, a.state)
	}
	return q.Get("code")
}

// tokens is a token answer as it is on the wire.
type tokens struct {
	status    int
	Access    string      `json:"access_token"`
	Refresh   string      `json:"refresh_token"`
	ID        string      `json:"id_token"`
	Type      string      `json:"token_type"`
	ExpiresIn json.Number `json:"expires_in"`
	Error     string      `json:"error"`
}

func (t tokens) String() string {
	return fmt.Sprintf("%d %s, expires_in %q, access %v, refresh %v, id %v",
		t.status, t.Error, t.ExpiresIn, t.Access != "", t.Refresh != "", t.ID != "")
}

func (p *party) token(form url.Values) tokens {
	p.t.Helper()
	return parseTokens(p.t, p.post("/oauth/token", form))
}

func parseTokens(t testing.TB, r reply) tokens {
	t.Helper()
	out := tokens{status: r.status}
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		t.Fatalf("token answer %d %q: %v", r.status, r.body, err)
	}
	return out
}

func (p *party) login(username string) tokens {
	p.t.Helper()
	a := newAttempt()
	got := p.token(a.form(p.code(a, everything, username)))
	if got.status != http.StatusOK || got.Refresh == "" {
		p.t.Fatalf("login: %+v", got)
	}
	return got
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

func (p *party) refresh(token string) tokens {
	p.t.Helper()
	return p.token(refreshForm(token))
}

func (p *party) mustRefresh(token string) tokens {
	p.t.Helper()
	got := p.refresh(token)
	if got.status != http.StatusOK {
		p.t.Fatalf("refresh: %d %s", got.status, got.Error)
	}
	return got
}

func (p *party) mustFail(got tokens, status int, code string) {
	p.t.Helper()
	if got.status != status || got.Error != code || got.Access != "" {
		p.t.Fatalf("got %d %q, want %d %q and no token", got.status, got.Error, status, code)
	}
}

func (p *party) userinfo(access string) reply {
	p.t.Helper()
	r := p.request(http.MethodGet, "/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	return p.do(&http.Client{Transport: p.transport}, r)
}

func (p *party) mustBeAlive(access string, alive bool) {
	p.t.Helper()
	want := http.StatusOK
	if !alive {
		want = http.StatusUnauthorized
	}
	if got := p.userinfo(access); got.status != want {
		p.t.Fatalf("userinfo: %d, want %d", got.status, want)
	}
	var seen struct{ Active bool }
	got := p.post("/oauth/introspect", url.Values{"token": {access}})
	if err := json.Unmarshal([]byte(got.body), &seen); err != nil || seen.Active != alive {
		p.t.Fatalf("introspection: %d %s, want active %v", got.status, got.body, alive)
	}
}

// claims verifies an id_token against the published keys.
func (p *party) claims(idToken string) map[string]any {
	p.t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.get("/keys").body), &keys); err != nil {
		p.t.Fatal(err)
	}
	jws, err := jose.ParseSigned(idToken, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		p.t.Fatal(err)
	}
	payload, err := jws.Verify(keys.Key(jws.Signatures[0].Header.KeyID)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(payload, &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// eventually waits, in real time, for what another goroutine is about to do.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}
