package authz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lamplighter/lamplighter/pkg/session"
)

func waitOnDue(o *Options) { o.WaitOnDue = true }

// aged is a 60 s token of that age: due at 40, expired at 55.
func aged(age time.Duration, change ...func(*session.View)) func(session.Handle) *session.View {
	return func(h session.Handle) *session.View {
		v := newView(h, time.Now().Add(-age), time.Minute)
		for _, c := range change {
			c(v)
		}
		return v
	}
}

func get(h session.Handle, more ...string) wire {
	return send(http.MethodGet, "/page?q=1", append(more, "cookie: "+sessionCookie(h))...)
}

func TestAFreshSessionCostsOneLookUp(t *testing.T) {
	t.Parallel()
	for _, as := range forms {
		f, h := known(t, freshView)
		r := f.do(t, get(h), as)
		r.mustServe(t)
		if f.gets != 1 || f.uses != 1 || f.starts != 0 || f.waits != 0 {
			t.Errorf("%s: %d gets, %d uses, %d starts, %d waits", as, f.gets, f.uses, f.starts, f.waits)
		}
		if _, ok := r.upstream["cookie"]; ok {
			t.Errorf("%s: upstream sees %q", as, r.upstream["cookie"])
		}
	}
}

// What a session's token needs, through Check and in fake time.
func TestTheAgeOfTheToken(t *testing.T) {
	t.Parallel()
	refused := &session.RefreshError{Class: session.Transient, RetryAt: time.Time{}}
	renewed := func(age time.Duration) func(ctx context.Context, v *session.View) (*session.View, error) {
		return func(_ context.Context, v *session.View) (*session.View, error) {
			s := v.Session
			s.Revision++
			s.Token.Access = session.AccessToken{Secret: session.NewSecret("renewed")}
			s.Token.Issued = time.Now().Add(-age)
			next := &session.View{Session: s, Window: session.Policy{Threshold: time.Minute}.Window(s)}
			next.Headers, next.Size = encoder.Encode(s)
			return next, nil
		}
	}
	const current, next = "Bearer " + token, "Bearer renewed"
	for _, tt := range []struct {
		name          string
		view          func(session.Handle) *session.View
		wait          func(context.Context, *session.View) (*session.View, error)
		change        []func(*Options)
		want          string        // upstream's authorization; empty: denied
		status        int           // of the denial
		took          time.Duration // by the fake clock
		starts, waits int
	}{
		{name: "fresh", view: aged(10 * time.Second), want: current},
		{name: "due", view: aged(45 * time.Second), want: current, starts: 1},
		{name: "due, backed off", view: aged(45*time.Second, func(v *session.View) { v.NotBefore = time.Now().Add(time.Second) }), want: current},
		{name: "due, wait, backed off", view: aged(45*time.Second, func(v *session.View) { v.NotBefore = time.Now().Add(time.Second) }), change: []func(*Options){waitOnDue}, want: current},
		{name: "due, wait, renewed", view: aged(45 * time.Second), change: []func(*Options){waitOnDue}, wait: renewed(0), want: next, waits: 1},
		{name: "due, wait, slow", view: aged(45 * time.Second), change: []func(*Options){waitOnDue}, wait: never, want: current, waits: 1, took: 3 * time.Second},
		{name: "due, wait, failed", view: aged(45 * time.Second), change: []func(*Options){waitOnDue}, wait: refreshes(nil, refused), want: current, waits: 1},
		{name: "due, wait, ended", view: aged(45 * time.Second), change: []func(*Options){waitOnDue}, wait: refreshes(nil, session.ErrEnded), status: 401, waits: 1},
		{name: "expired, renewed", view: aged(61 * time.Second), wait: renewed(0), want: next, waits: 1},
		{name: "expired, renewed too late", view: aged(61 * time.Second), wait: renewed(70 * time.Second), want: next, waits: 1},
		{name: "expired, slow", view: aged(61 * time.Second), wait: never, status: 503, waits: 1, took: 3 * time.Second},
		{name: "expired, failed", view: aged(61 * time.Second), wait: refreshes(nil, refused), status: 503, waits: 1},
		{name: "expired, store", view: aged(61 * time.Second), wait: refreshes(nil, session.ErrUnavailable), status: 503, waits: 1},
		{name: "expired, ended", view: aged(61 * time.Second), wait: refreshes(nil, session.ErrEnded), status: 401, waits: 1},
		{name: "expired but alive, slow", view: aged(55 * time.Second), wait: never, want: current, waits: 1, took: 3 * time.Second},
		{name: "expired, and dies while we wait", view: aged(58 * time.Second), wait: never, status: 503, waits: 1, took: 3 * time.Second},
		{name: "expired, backed off", view: aged(61*time.Second, func(v *session.View) { v.NotBefore = time.Now().Add(9 * time.Second) }), status: 503},
		{name: "no refresh token, past its end", view: func(h session.Handle) *session.View {
			return newView(h, time.Now().Add(-61*time.Second), time.Minute, withoutRefreshToken)
		}, status: 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, h := known(t, tt.view, tt.change...)
				f.wait = tt.wait
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // Envoy's
				defer cancel()
				began := time.Now()
				r := f.doCtx(t, ctx, get(h, "sec-fetch-mode: cors"), raw)
				if tt.want == "" {
					r.mustDeny(t, tt.status)
				} else if got := r.upstream["authorization"]; len(got) != 1 || got[0] != tt.want {
					t.Fatalf("got %v, want %s", r, tt.want)
				}
				if took := time.Since(began); took != tt.took || f.starts != tt.starts || f.waits != tt.waits {
					t.Errorf("took %v, %d starts, %d waits; want %v, %d, %d", took, f.starts, f.waits, tt.took, tt.starts, tt.waits)
				}
			})
		})
	}
}

// Envoy's timeout would answer with an empty 503: we answer first.
func TestAWaitEndsBeforeEnvoyGivesUp(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{
		2 * time.Second:        1800 * time.Millisecond,
		200 * time.Millisecond: 175 * time.Millisecond,
		20 * time.Millisecond:  0,
		time.Minute:            3 * time.Second, // max_wait
	} {
		synctest.Test(t, func(t *testing.T) {
			f, h := known(t, aged(2*time.Minute))
			f.wait = never
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			f.doCtx(t, ctx, get(h), raw).mustDeny(t, http.StatusServiceUnavailable)
			if took := time.Since(began); took != want || f.waits != 1 {
				t.Errorf("timeout %v: answered after %v, %d waits, want %v", timeout, took, f.waits, want)
			}
		})
	}
}

func TestTroubleIsA503ThatRetriesAndClearsNothing(t *testing.T) {
	t.Parallel()
	at := time.Now()
	retry := &session.RefreshError{Class: session.Transient, RetryAt: at.Add(6200 * time.Millisecond)}
	for name, set := range map[string]func(*fake){
		"store":   func(f *fake) { f.getErr = fmt.Errorf("read: %w", session.ErrUnavailable) },
		"use":     func(f *fake) { f.useErr = fmt.Errorf("touch: %w", session.ErrUnavailable) },
		"refresh": func(f *fake) { f.wait = refreshes(nil, retry) },
	} {
		f, h := known(t, aged(2*time.Minute), func(o *Options) { o.Now = func() time.Time { return at } })
		set(f.fake)
		seconds := map[bool]string{true: "7", false: "2"}[name == "refresh"]

		page := f.do(t, get(h, "sec-fetch-mode: navigate"), raw)
		page.mustDeny(t, http.StatusServiceUnavailable)
		if page.header.Get("Retry-After") != seconds || page.header.Get("Content-Type") != "text/html; charset=utf-8" ||
			!strings.Contains(page.body, `http-equiv="refresh" content="`+seconds+`"`) || strings.Contains(page.body, "<script") ||
			page.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(page.header.Get("Content-Security-Policy"), "default-src 'none';") {
			t.Errorf("%s: a navigation got %v", name, page)
		}
		answer := f.do(t, get(h, "sec-fetch-mode: cors"), raw)
		answer.mustDeny(t, http.StatusServiceUnavailable)
		if answer.header.Get("Retry-After") != seconds || mustBeProblem(t, answer) != 503 {
			t.Errorf("%s: a script got %v", name, answer)
		}
		if page.header["Set-Cookie"] != nil || answer.header["Set-Cookie"] != nil || len(f.asked) > 0 {
			t.Errorf("%s: a cookie was touched, or a login begun", name)
		}
	}
}

func mustBeProblem(t *testing.T, r result) (status int) {
	t.Helper()
	var p struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.header.Get("Content-Type") != "application/problem+json" || p.Title == "" || p.Detail == "" {
		t.Errorf("%v is no problem: %v", r, err)
	}
	return p.Status
}

// A session whose time is up is not refreshed, whatever its token needs.
func TestAnEndedUseComesBeforeARefresh(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{time.Second, 45 * time.Second, 2 * time.Minute} {
		f, h := known(t, aged(age))
		f.useErr = &session.EndedError{Reason: session.ReasonIdle}
		f.do(t, get(h), raw).mustDeny(t, http.StatusUnauthorized)
		if f.starts+f.waits > 0 {
			t.Errorf("age %v: a refresh was asked for", age)
		}
	}
}

func TestWithoutASession(t *testing.T) {
	t.Parallel()
	for name, get := range map[string]error{"unknown": nil, "ended": session.ErrEnded, "not found": session.ErrNotFound} {
		f := newFront(t, &fake{getErr: get})
		cookie := "cookie: " + sessionCookie(session.NewHandle())

		r := f.do(t, send(http.MethodGet, "/a?b=c&d", "sec-fetch-mode: navigate", cookie), raw)
		r.mustDeny(t, http.StatusFound)
		if len(f.asked) != 1 || f.asked[0].URL.String() != origin+"/auth/login?return_to=%2Fa%3Fb%3Dc%26d" || f.asked[0].Method != http.MethodGet {
			t.Errorf("%s: the relying party was asked for %v", name, f.asked)
		}
		for _, w := range []wire{send("POST", "/a", "sec-fetch-mode: navigate", cookie), send("GET", "/a", "sec-fetch-mode: cors", cookie), send("GET", "/a")} {
			r := f.do(t, w, raw)
			r.mustDeny(t, http.StatusUnauthorized)
			if mustBeProblem(t, r) != 401 || r.header.Get("Www-Authenticate") != `Bearer realm="https://app.example.com"` || r.header["Set-Cookie"] != nil {
				t.Errorf("%s: %s got %v", name, w.method, r)
			}
		}
		if len(f.asked) != 1 || f.log.Len() > 0 { // a stale cookie is nobody's trouble
			t.Errorf("%s: %d logins begun, logged %s", name, len(f.asked), f.log)
		}
	}
}

func TestWhichHandleCounts(t *testing.T) {
	t.Parallel()
	h, planted := session.NewHandle(), session.NewHandle()
	ours, other := sessionCookie(h), sessionCookie(planted)
	for _, tt := range []struct {
		name    string
		lines   []string
		serves  bool
		lookUps int
	}{
		{"one", []string{ours}, true, 1},
		{"same twice", []string{ours + "; " + ours}, true, 1},
		{"same on two lines", []string{ours, ours}, true, 1},
		{"among others", []string{"a=1; " + ours + "; b=2"}, true, 1},
		{"second line", []string{"a=1", ours}, true, 1},
		{"beside rubbish of its name", []string{cookieName + "=x; " + ours}, true, 1},
		{"two different", []string{ours + "; " + other}, false, 0},
		{"two different on two lines", []string{other, ours}, false, 0},
		{"another name", []string{"__host-bff_session=" + h.Reveal()}, false, 0},
		{"longer name", []string{"x" + ours}, false, 0},
		{"quoted", []string{cookieName + `="` + h.Reveal() + `"`}, false, 0},
		{"padded", []string{ours + "="}, false, 0},
		{"cut", []string{ours[:len(ours)-1]}, false, 0},
		{"empty", []string{cookieName + "="}, false, 0},
		{"none", nil, false, 0},
	} {
		for _, as := range forms {
			f := newFront(t, &fake{views: map[session.ID]*session.View{h.ID(): freshView(h), planted.ID(): freshView(planted)}})
			w := send(http.MethodGet, "/x")
			for _, l := range tt.lines {
				w.add("cookie", l)
			}
			r := f.do(t, w, as)
			if tt.serves {
				r.mustServe(t)
			} else {
				r.mustDeny(t, http.StatusUnauthorized)
			}
			if f.gets != tt.lookUps {
				t.Errorf("%s, %s: %d look-ups", tt.name, as, f.gets)
			}
		}
	}
}

func TestAPublicPathAsksNobody(t *testing.T) {
	t.Parallel()
	f, h := known(t, aged(2*time.Minute))
	f.getErr = session.ErrUnavailable
	for _, method := range []string{"GET", "POST"} {
		r := f.do(t, send(method, "/public/a", "cookie: "+sessionCookie(h)+"; theirs=1", "sec-fetch-site: cross-site"), raw)
		r.mustBeAnonymous(t)
		if got := r.upstream["cookie"]; len(got) != 1 || got[0] != "theirs=1" {
			t.Errorf("%s: upstream sees cookie %q", method, got)
		}
	}
	if f.gets+f.uses+f.starts+f.waits > 0 {
		t.Errorf("%d gets, %d uses, %d starts, %d waits", f.gets, f.uses, f.starts, f.waits)
	}
}

// Rules are about the path; whatever a query looks like, it is not part of it.
func TestAQueryIsNotPath(t *testing.T) {
	t.Parallel()
	for target, public := range map[string]bool{
		"/public?x":                true,
		"/public/?x":               true,
		"/public/a?u=//b/../c;%2e": true,
		"/public/a?a?b":            true,
		"/x?/public/":              false,
		"/x?/../public/":           false,
		"/?x=/public/":             false,
		"/x?/auth/login":           false,
		"/auth?/":                  false,
		"/public%3f/../x":          false,
	} {
		f := newFront(t, &fake{})
		for _, as := range forms {
			r := f.do(t, send("GET", target), as)
			if public {
				r.mustBeAnonymous(t)
			} else {
				r.mustDeny(t, http.StatusUnauthorized)
			}
			if t.Failed() {
				t.Fatalf("%s, %s", target, as)
			}
		}
	}
}

// A program's own token, where a rule lets it through.
func TestTheClientsOwnBearer(t *testing.T) {
	t.Parallel()
	const own = "Bearer their.own~token"
	for _, as := range forms {
		f, h := known(t, freshView)
		r := f.do(t, send("GET", "/api/x", "authorization: "+own, "x-user-id: forged", "x_user_id: forged"), as)
		if got := r.upstream["authorization"]; len(got) != 1 || got[0] != own {
			t.Fatalf("%s: got %v", as, r)
		}
		r.mustNotForge(t, map[string]string{"authorization": own})

		f.do(t, send("GET", "/api/x", "authorization: "+own, "cookie: "+sessionCookie(h)), as).mustServe(t) // the session wins
		f.do(t, send("GET", "/x", "authorization: "+own, "cookie: "+sessionCookie(h)), as).mustServe(t)
		f.do(t, send("GET", "/hook/x", "authorization: Basic dTpw"), as).mustBeAnonymous(t)

		twice := f.do(t, send("GET", "/api/x", "authorization: Bearer one", "authorization: Basic two"), as)
		twice.mustDeny(t, http.StatusBadRequest)
		entries := send("GET", "/api/x")
		entries.fields = [][2]string{{"authorization", own}, {"Authorization", "Bearer another"}} // as no Envoy tells it
		f.do(t, entries, raw).mustDeny(t, http.StatusBadRequest)
		f.do(t, send("GET", "/strict/x", "authorization: "+own, "cookie: "+sessionCookie(h)), as).mustDeny(t, http.StatusUnauthorized)
	}
}

func TestChecksThatAreNoRequests(t *testing.T) {
	t.Parallel()
	f, h := known(t, freshView)
	empty := func(w wire) *authv3.CheckRequest { return w.check(raw) }
	long := send("GET", "/public/"+strings.Repeat("a", maxTarget))
	many := send("GET", "/public/")
	for i := range maxFields {
		many.add("x-"+strconv.Itoa(i), "1")
	}
	for name, check := range map[string]*authv3.CheckRequest{
		"nil":              nil,
		"empty":            {},
		"no request":       {Attributes: &authv3.AttributeContext{}},
		"no http":          {Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{}}},
		"no path":          empty(send("GET", "", "cookie: "+sessionCookie(h))),
		"no method":        empty(send("", "/public/")),
		"absolute form":    empty(send("GET", "https://app.example.com/public/")),
		"asterisk":         empty(send("OPTIONS", "*", "access-control-request-method: GET")),
		"space":            empty(send("GET", "/public/ HTTP/1.1")),
		"line break":       empty(send("GET", "/public/\r\nx: y")),
		"fragment":         empty(send("GET", "/public/#x")),
		"8 bit":            empty(send("GET", "/public/\u00e9")),
		"too long":         empty(long),
		"too many headers": empty(many),
		"too many, merged": many.check(merged),
		"bad name":         empty(send("GET", "/public/", "x user id: 1")),
		"worse name":       empty(send("GET", "/public/", "x\nuser\nid: 1")),
	} {
		answer, err := f.Check(t.Context(), check)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustHold(t, answer)
		if got := answer.GetDeniedResponse().GetStatus().GetCode(); got != http.StatusBadRequest {
			t.Errorf("%s: got %v", name, answer)
		}
	}
	if f.gets > 0 {
		t.Error("a session was looked up")
	}
}

// A token that no header can carry must not become a request without one.
func TestAnUnsendableTokenIsADenial(t *testing.T) {
	t.Parallel()
	for name, access := range map[string]string{"line break": "a\r\nx-user-id: root", "NUL": "a\x00", "not UTF-8": "\xff", "empty": ""} {
		f, h := known(t, func(h session.Handle) *session.View {
			return newView(h, time.Now(), time.Hour, func(s *session.Session) { s.Token.Access = session.AccessToken{Secret: session.NewSecret(access)} })
		})
		f.do(t, get(h), raw).mustDeny(t, http.StatusServiceUnavailable)
		if log := f.log.String(); !strings.Contains(log, "no access token that a header can carry") || access != "" && strings.Contains(log, access) {
			t.Errorf("%s: logged %s", name, log)
		}
	}
	f, h := known(t, func(h session.Handle) *session.View { v := freshView(h); v.Headers = nil; return v })
	f.do(t, get(h), raw).mustDeny(t, http.StatusServiceUnavailable)
}

func TestAValueThatNoHeaderCarriesIsRemoved(t *testing.T) {
	t.Parallel()
	f, h := known(t, func(h session.Handle) *session.View {
		return newView(h, time.Now(), time.Hour, func(s *session.Session) {
			s.Identity = session.Identity{Subject: "u1\r\nx-admin: 1", Name: "caf\xe9", Claims: map[string]string{"groups": ""}}
		})
	})
	r := f.do(t, get(h, "x-user-id: forged", "x-user-name: forged", "x-user-email: forged", "x-auth-time: 1", "x-user-groups: root"), raw)
	if !r.allowed {
		t.Fatal(r)
	}
	r.mustNotForge(t, map[string]string{"authorization": want["authorization"], "x-session-id": want["x-session-id"]})
}

type defect struct{ Secret string }

func TestAPanicIsADenial(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"runtime": nil, "value": defect{"canary"}, "error": errors.New("canary"), "abort": http.ErrAbortHandler} {
		f := newFront(t, &fake{answer: func(http.ResponseWriter, *http.Request) {
			if value != nil {
				panic(value)
			}
			var none *session.View
			_ = none.Session
		}})
		answer, err := f.Check(t.Context(), send("GET", "/auth/login").check(raw))
		if err != nil || answer.GetDeniedResponse().GetStatus().GetCode() != http.StatusServiceUnavailable || !strings.Contains(answer.String(), `again in 1 s.`) {
			t.Errorf("%s: got %v, %v", name, answer, err)
		}
		mustHold(t, answer)
		log := f.log.String()
		if testutil.ToFloat64(f.opts.Metrics.panics) != 1 || !strings.Contains(log, "fake).ServeHTTP") || strings.Contains(log, "canary") {
			t.Errorf("%s: logged %s", name, log)
		}
		if name == "runtime" && !strings.Contains(log, "nil pointer") {
			t.Errorf("the cause is not logged: %s", log)
		}
	}
}

func TestMetricsSayWhatWasDecided(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	f, h := known(t, freshView, func(o *Options) { o.Metrics = NewMetrics(registry) })
	f.do(t, get(h), raw)
	f.do(t, send("GET", "/public/x"), raw)
	f.do(t, send("GET", "/x"), raw)
	f.do(t, send("GET", "/x", "sec-fetch-mode: navigate"), raw)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]uint64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "decision" {
					t.Errorf("%s has the label %s", family.GetName(), l.GetName())
				}
				got[l.GetValue()] = m.GetHistogram().GetSampleCount()
			}
			if family.GetName() == "bff_token_seconds_to_expiry" && (m.GetHistogram().GetSampleCount() != 1 || m.GetHistogram().GetSampleSum() < 3500) {
				t.Errorf("seconds to expiry: %v", m)
			}
		}
	}
	if len(got) != int(verdicts) || got["allow"] != 1 || got["anonymous"] != 1 || got["no_session"] != 1 || got["login"] != 1 || got["broken"] != 0 {
		t.Errorf("got %v", got)
	}
}

// One Server, many Checks: the headers of a session are shared by all of them.
func TestChecksAtTheSameTime(t *testing.T) {
	t.Parallel()
	f, h := known(t, freshView)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				theirs := fmt.Sprintf("theirs=%d-%d", i, n)
				odd := []string{"x_user_id: forged", "x.user-id: forged"}[n%2]
				r := f.do(t, send("GET", "/x", "cookie: "+theirs+"; "+sessionCookie(h), odd), forms[n%2])
				r.mustServe(t)
				if got := r.upstream["cookie"]; len(got) != 1 || got[0] != theirs {
					t.Errorf("got cookie %q, want %s", got, theirs)
				}
				f.do(t, send("GET", "/public/x", odd, "authorization: Bearer x"), forms[n%2]).mustBeAnonymous(t)
			}
		})
	}
	all.Wait()
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"no sessions":    func(o *Options) { o.Sessions = nil },
		"no metrics":     func(o *Options) { o.Metrics = nil },
		"no origin":      func(o *Options) { o.ExternalURL = nil },
		"no prefix":      func(o *Options) { o.PathPrefix = "" },
		"prefix is all":  func(o *Options) { o.PathPrefix = "/" },
		"prefix is half": func(o *Options) { o.PathPrefix = "/auth" },
		"no cookie":      func(o *Options) { o.CookieName = "" },
		"all cookies":    func(o *Options) { o.OwnCookies = "" },
		"no wait":        func(o *Options) { o.MaxWait = 0 },
	} {
		o := newFront(t, &fake{}).opts
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
