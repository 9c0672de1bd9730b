package rp_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	issuer       = "http://127.0.0.1:9400"
	external     = "https://app.example.com"
	clientID     = "bff client"         // a space and
	clientSecret = "client:secret/100%" // these need the encoding of RFC 6749 section 2.3.1
	cookieName   = "__Host-bff_session"
	attempts     = rp.LoginCookiePrefix
	recent       = rp.LoginCookiePrefix + "recent"
)

// vault is Sessions in memory, with an outage to order.
type vault struct {
	mu      sync.Mutex
	live    map[session.ID]session.Session
	created []session.Session
	ended   map[session.ID]session.Reason
	down    error
}

func newVault() *vault {
	return &vault{live: map[session.ID]session.Session{}, ended: map[session.ID]session.Reason{}}
}

func (v *vault) Create(_ context.Context, s session.Session) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down != nil {
		return v.down
	}
	v.live[s.ID], v.created = s, append(v.created, s)
	return nil
}

func (v *vault) Get(_ context.Context, id session.ID) (session.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down != nil {
		return session.Session{}, v.down
	}
	s, ok := v.live[id]
	if !ok {
		return s, session.ErrNotFound
	}
	return s, nil
}

func (v *vault) End(_ context.Context, id session.ID, why session.Reason) (session.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down != nil {
		return session.Session{}, v.down
	}
	s, ok := v.live[id]
	if !ok {
		return s, &session.EndedError{Reason: session.ReasonIdle}
	}
	delete(v.live, id)
	v.ended[id] = why
	return s, nil
}

func (v *vault) outage(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = err
}

func (v *vault) sessions() []session.Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]session.Session(nil), v.created...)
}

// world is one relying party and what it stands on.
type world struct {
	*rp.RP
	t     testing.TB
	vault *vault
	log   *logbook.Book
	pages *logbook.Book // bodies of every answer to a browser
}

func keyring(t testing.TB) *seal.Keyring {
	t.Helper()
	ring, err := seal.ParseKeys([]byte("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func options(t testing.TB, transport http.RoundTripper) rp.Options {
	u, err := url.Parse(external)
	if err != nil {
		t.Fatal(err)
	}
	return rp.Options{
		Issuer: issuer, ClientID: clientID, AuthStyle: rp.AuthBasic,
		ClientSecret: func() (session.Secret, error) { return session.NewSecret(clientSecret), nil },
		Scopes:       []string{"openid", "profile", "email", "offline_access"},
		ExternalURL:  u, PathPrefix: "/auth/", CookieName: cookieName,
		Absolute: 8 * time.Hour, Policy: session.Policy{Threshold: 5 * time.Minute}, Profile: session.Profiles()[0], App: "shop",
		Keyring: keyring(t), Sessions: newVault(), Transport: transport, Metrics: rp.NewMetrics(prometheus.NewRegistry()),
	}
}

// newWorld makes a relying party that has discovered its provider.
func newWorld(t testing.TB, o rp.Options) *world {
	t.Helper()
	w := undiscovered(t, o)
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	return w
}

func undiscovered(t testing.TB, o rp.Options) *world {
	t.Helper()
	w := &world{t: t, log: new(logbook.Book), pages: new(logbook.Book)}
	w.vault, _ = o.Sessions.(*vault)
	o.Log = slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if w.RP, err = rp.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// withOP is a world over the development provider, without a network.
func withOP(t testing.TB, change ...func(*rp.Options)) (*world, *op.Provider) {
	t.Helper()
	p, err := op.New(op.Options{Issuer: issuer, Clients: []op.Client{{
		ID: clientID, Secret: clientSecret,
		RedirectURIs:           []string{external + "/auth/callback"},
		PostLogoutRedirectURIs: []string{external + "/"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := options(t, p.RoundTripper())
	for _, c := range change {
		c(&o)
	}
	return newWorld(t, o), p
}

// browser keeps cookies as a browser does, by name: every cookie of ours is for
// one host and the path /.
type browser struct {
	w    *world
	jar  map[string]*http.Cookie
	gone map[string]time.Time
	op   map[string]string // the provider's cookies
}

func (w *world) browser() *browser {
	return &browser{w: w, jar: map[string]*http.Cookie{}, gone: map[string]time.Time{}, op: map[string]string{}}
}

// clone is the same browser with the cookies of this moment.
func (b *browser) clone() *browser {
	c := b.w.browser()
	for name, cookie := range b.jar {
		c.jar[name], c.gone[name] = cookie, b.gone[name]
	}
	return c
}

func (b *browser) names(prefix string) (names []string) {
	for name := range b.jar {
		if strings.HasPrefix(name, prefix) && name != recent && time.Now().Before(b.gone[name]) {
			names = append(names, name)
		}
	}
	return names
}

// send asks the relying party; header is key, value, key, value.
func (b *browser) send(ctx context.Context, method, target string, header ...string) *http.Response {
	r := httptest.NewRequestWithContext(ctx, method, strings.TrimPrefix(target, external), nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	for name, c := range b.jar {
		if time.Now().Before(b.gone[name]) {
			r.Header.Add("Cookie", c.Name+"="+c.Value)
		}
	}
	rec := httptest.NewRecorder()
	b.w.ServeHTTP(rec, r)
	resp := rec.Result()
	body, _ := io.ReadAll(resp.Body)
	_, _ = b.w.pages.Write(body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.Header.Get("Cache-Control") != "no-store" {
		b.w.t.Errorf("%s %s may be stored", method, r.URL.Path)
	}
	for _, c := range resp.Cookies() {
		b.keep(c)
	}
	return resp
}

func (b *browser) keep(c *http.Cookie) {
	if !c.Secure || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
		b.w.t.Errorf("cookie %q is not as it must be: %s", c.Name, c.Raw)
	}
	if len(c.Name)+len(c.Value) > 4096 {
		b.w.t.Errorf("cookie %q is too big for browsers: %d", c.Name, len(c.Value))
	}
	delete(b.jar, c.Name)
	if c.MaxAge > 0 {
		b.jar[c.Name], b.gone[c.Name] = c, time.Now().Add(time.Duration(c.MaxAge)*time.Second)
	}
}

func (b *browser) get(target string, header ...string) *http.Response {
	return b.send(b.w.t.Context(), http.MethodGet, target, header...)
}

// begin starts a login and returns where the browser is sent.
func (b *browser) begin(returnTo string) *url.URL {
	b.w.t.Helper()
	resp := b.get("/auth/login?" + url.Values{"return_to": {returnTo}}.Encode())
	if resp.StatusCode != http.StatusFound {
		b.w.t.Fatalf("login: %d", resp.StatusCode)
	}
	to, err := resp.Location()
	if err != nil {
		b.w.t.Fatal(err)
	}
	return to
}

// signIn goes through the development provider's page as user, and returns the
// URL it comes back to.
func (b *browser) signIn(p *op.Provider, to *url.URL, username string) (callback string) {
	b.w.t.Helper()
	method, body := http.MethodGet, ""
	for range 10 {
		if strings.HasPrefix(to.String(), external+"/") {
			return to.String()
		}
		resp := b.ask(p, method, to, body)
		next, err := resp.Location()
		switch {
		case err == nil:
			to, method, body = next, http.MethodGet, ""
		case resp.StatusCode == http.StatusOK && method == http.MethodGet:
			method, body = http.MethodPost, url.Values{"username": {username}}.Encode()
		default:
			text, _ := io.ReadAll(resp.Body)
			b.w.t.Fatalf("%s %s: %d %s", method, to, resp.StatusCode, text)
		}
	}
	b.w.t.Fatal("the provider sends in circles")
	return ""
}

// ask sends a request to the provider with the provider's cookies.
func (b *browser) ask(p *op.Provider, method string, to *url.URL, body string) *http.Response {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, to.String(), strings.NewReader(body))
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range b.op {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := p.RoundTripper().RoundTrip(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		b.op[c.Name] = c.Value
	}
	return resp
}

// login is a whole login, to the page asked for.
func (b *browser) login(p *op.Provider, returnTo string) *http.Response {
	b.w.t.Helper()
	return b.get(b.signIn(p, b.begin(returnTo), "ada"))
}

func (b *browser) handle() string {
	if c := b.jar[cookieName]; c != nil {
		return c.Value
	}
	return ""
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// wantPage checks a page for people: its status, no redirect, and a link.
func wantPage(t testing.TB, resp *http.Response, status int, texts ...string) {
	t.Helper()
	body := bodyOf(t, resp)
	if resp.StatusCode != status || resp.Header.Get("Location") != "" {
		t.Errorf("got %d to %q, want a page with %d", resp.StatusCode, resp.Header.Get("Location"), status)
	}
	h := resp.Header
	if !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'unsafe-inline'") ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers of the page: %v", h)
	}
	if (status == http.StatusServiceUnavailable) != (h.Get("Retry-After") != "") {
		t.Errorf("%d with Retry-After %q", status, h.Get("Retry-After"))
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q: %s", text, body)
		}
	}
}

// tokenPosts counts what reached the token endpoint.
func tokenPosts(p *op.Provider) int { return len(p.Ledger().Received) }
