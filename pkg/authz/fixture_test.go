package authz

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lamplighter/lamplighter/pkg/session"
)

const (
	cookieName = "__Host-bff_session"
	ownCookies = "__Host-bff_login_"
	origin     = "https://app.example.com"
	token      = "token-canary-access"
)

var identity = Identity{
	UserID: "X-User-ID", Email: "X-User-Email", Name: "X-User-Name", AuthTime: "X-Auth-Time", SessionID: "X-Session-ID",
	Claims: map[string]string{"groups": "X-User-Groups"},
}

// want is what upstream learns of the session of newView.
var want = map[string]string{
	"authorization": "Bearer " + token, "x-user-id": "u1", "x-user-email": "ada@example.com", "x-user-name": "Ada É",
	"x-auth-time": "1700000000", "x-session-id": "hash", "x-user-groups": "a,b",
}

var encoder = NewEncoder(identity, func(session.ID) string { return "hash" })

// newView is a session whose token was issued at t0 and lives for life.
func newView(h session.Handle, t0 time.Time, life time.Duration, change ...func(*session.Session)) *session.View {
	s := session.Session{
		ID: h.ID(), Revision: 1, App: "default", Provider: "https://op.example.com", CreatedAt: t0, EndsAt: t0.Add(8 * time.Hour),
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret(token)},
			Refresh: session.RefreshToken{Secret: session.NewSecret("refresh")},
			Issued:  t0, Lifetime: life,
		},
		Identity: session.Identity{
			Subject: "u1", Email: "ada@example.com", Name: "Ada É", AuthTime: time.Unix(1700000000, 0), Claims: map[string]string{"groups": "a,b"},
		},
	}
	for _, c := range change {
		c(&s)
	}
	v := &session.View{Session: s, Window: session.Policy{Threshold: 5 * time.Minute}.Window(s), Used: t0}
	v.Headers, v.Size = encoder.Encode(s)
	return v
}

func withoutRefreshToken(s *session.Session) { s.Token.Refresh = session.RefreshToken{} }

// fake is all three neighbours. The zero value knows no session.
type fake struct {
	views map[session.ID]*session.View
	wait  func(ctx context.Context, v *session.View) (*session.View, error)

	getErr, useErr error            // of every Get, every Use
	answer         http.HandlerFunc // of the relying party; nil: off to the OP

	mu                        sync.Mutex
	gets, uses, starts, waits int
	asked                     []*http.Request // of the relying party
}

func (f *fake) count(n *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n++
}

func (f *fake) Get(_ context.Context, id session.ID) (*session.View, error) {
	f.count(&f.gets)
	if f.getErr != nil {
		return nil, f.getErr
	}
	if v, ok := f.views[id]; ok {
		return v, nil
	}
	return nil, session.ErrNotFound
}

func (f *fake) Use(context.Context, *session.View, time.Time) error {
	f.count(&f.uses)
	return f.useErr
}

func (f *fake) Start(*session.View) { f.count(&f.starts) }

func (f *fake) Wait(ctx context.Context, v *session.View) (*session.View, error) {
	f.count(&f.waits)
	return f.wait(ctx, v)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	w.Header().Set("Location", "https://op.example.com/authorize")
	w.WriteHeader(http.StatusFound)
}

// never is a refresh that does not end.
func never(ctx context.Context, _ *session.View) (*session.View, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func refreshes(v *session.View, err error) func(context.Context, *session.View) (*session.View, error) {
	return func(context.Context, *session.View) (*session.View, error) { return v, err }
}

// front is a Server between fakes.
type front struct {
	*Server
	*fake
	log *strings.Builder
}

func newFront(t testing.TB, f *fake, change ...func(*Options)) *front {
	t.Helper()
	external, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	o := Options{
		Sessions: f, Refresher: f, Activity: f, RP: f,
		ExternalURL: external, PathPrefix: "/auth/", CookieName: cookieName, OwnCookies: ownCookies,
		Rules: []Rule{
			{PathPrefix: "/public/", NoSession: true},
			{PathPrefix: "/api/", Bearer: BearerPass},
			{PathPrefix: "/strict", Bearer: BearerReject},
			{PathPrefix: "/hook", NoSession: true, Bearer: BearerPass},
		},
		Encoder: encoder, MaxWait: 3 * time.Second, Metrics: NewMetrics(prometheus.NewRegistry()),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &front{Server: s, fake: f, log: &log}
}

// known is a front that knows one session, and its handle.
func known(t testing.TB, make func(h session.Handle) *session.View, change ...func(*Options)) (*front, session.Handle) {
	t.Helper()
	h := session.NewHandle()
	v := make(h)
	return newFront(t, &fake{views: map[session.ID]*session.View{h.ID(): v}}, change...), h
}

func freshView(h session.Handle) *session.View { return newView(h, time.Now(), time.Hour) }

// wire is a request as Envoy has it before ext_authz: several authorization
// lines are one, and the app sees names in lower case; test/envoytest holds Envoy to it.
type wire struct {
	method, target string
	fields         [][2]string
}

func send(method, target string, lines ...string) wire {
	w := wire{method: method, target: target}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		w.add(strings.ToLower(name), value)
	}
	return w
}

func (w *wire) add(name, value string) {
	for i := range w.fields {
		if strings.EqualFold(name, authorization) && strings.EqualFold(name, w.fields[i][0]) {
			w.fields[i][1] += "," + value
			return
		}
	}
	w.fields = append(w.fields, [2]string{name, value})
}

func sessionCookie(h session.Handle) string { return cookieName + "=" + h.Reveal() }

// form is how Envoy tells the headers.
type form string

const (
	raw    form = "raw"    // encode_raw_headers
	merged form = "merged" // the default
)

var forms = []form{raw, merged}

func (w wire) check(as form) *authv3.CheckRequest {
	h := &authv3.AttributeContext_HttpRequest{
		Id: "1", Method: w.method, Path: w.target, Host: "attacker.example", Scheme: "http", Protocol: "HTTP/1.1",
	}
	fields := append([][2]string{{":authority", "attacker.example"}, {":path", w.target}, {":method", w.method}, {":scheme", "http"}}, w.fields...)
	if as == raw {
		h.HeaderMap = &corev3.HeaderMap{}
		for _, f := range fields {
			h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: f[0], RawValue: []byte(f[1])})
		}
	} else {
		h.Headers = make(map[string]string)
		for _, f := range fields {
			value := strings.ToValidUTF8(f[1], "!")
			if before, ok := h.Headers[f[0]]; ok {
				value = before + "," + value
			}
			h.Headers[f[0]] = value
		}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: h}}}
}

// upstream is what the app sees: set replaces every copy, then removal by exact
// name without case; test/envoytest holds Envoy to it.
func (w wire) upstream(ok *authv3.OkHttpResponse) map[string][]string {
	up := make(map[string][]string)
	for _, f := range w.fields {
		name := strings.ToLower(f[0])
		up[name] = append(up[name], f[1])
	}
	for _, h := range ok.GetHeaders() {
		up[strings.ToLower(h.GetHeader().GetKey())] = []string{h.GetHeader().GetValue()}
	}
	for _, name := range ok.GetHeadersToRemove() {
		delete(up, strings.ToLower(name))
	}
	return up
}

// do checks w in one form, holds the answer to what must always hold, and
// returns it.
func (f *front) do(t testing.TB, w wire, as form) result {
	t.Helper()
	return f.doCtx(t, t.Context(), w, as)
}

func (f *front) doCtx(t testing.TB, ctx context.Context, w wire, as form) result {
	t.Helper()
	answer, err := f.Check(ctx, w.check(as))
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	mustHold(t, answer)
	if n := testutil.ToFloat64(f.opts.Metrics.panics); n != 0 {
		t.Fatalf("panicked:\n%s", f.log)
	}
	r := result{answer: answer, allowed: answer.GetStatus().GetCode() == 0}
	if r.allowed {
		r.upstream = w.upstream(answer.GetOkResponse())
		return r
	}
	denied := answer.GetDeniedResponse()
	r.status, r.body, r.header = int(denied.GetStatus().GetCode()), denied.GetBody(), make(http.Header)
	for _, h := range denied.GetHeaders() {
		r.header.Add(h.GetHeader().GetKey(), h.GetHeader().GetValue())
	}
	return r
}

// result is an answer as both sides see it.
type result struct {
	answer   *authv3.CheckResponse
	allowed  bool
	upstream map[string][]string
	status   int // of a denial
	header   http.Header
	body     string
}

func (r result) String() string {
	if r.allowed {
		return fmt.Sprintf("allow %q", r.upstream)
	}
	return fmt.Sprintf("%d %q %.60s", r.status, r.header, r.body)
}

// mustServe: upstream sees exactly our headers.
func (r result) mustServe(t testing.TB) {
	t.Helper()
	if !r.allowed {
		t.Fatalf("got %v, want the session served", r)
	}
	for name, value := range want {
		if got := r.upstream[name]; !slices.Equal(got, []string{value}) {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	r.mustNotForge(t, want)
}

// mustNotForge: no guarded header upstream but the allowed ones.
func (r result) mustNotForge(t testing.TB, but map[string]string) {
	t.Helper()
	for name, values := range r.upstream {
		if _, ours := but[name]; ours && len(values) == 1 && values[0] == but[name] {
			continue
		}
		for guarded := range want {
			if bare(name) == bare(guarded) {
				t.Errorf("client supplied %q: %q", name, values)
			}
		}
	}
}

// mustBeAnonymous: upstream learns of nobody.
func (r result) mustBeAnonymous(t testing.TB) {
	t.Helper()
	if !r.allowed {
		t.Fatalf("got %v, want it to pass without identity", r)
	}
	r.mustNotForge(t, nil)
}

func (r result) mustDeny(t testing.TB, status int) {
	t.Helper()
	if r.allowed || r.status != status {
		t.Fatalf("got %v, want %d", r, status)
	}
}

// bare is a header name as an upstream may read it that knows one punctuation
// only.
func bare(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(name))
}
