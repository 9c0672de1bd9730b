package authz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// minute is the view of a 60 s token: due at 40 s, expired at 55 s.
func minute(change ...func(*session.View)) *session.View {
	v := newView(session.NewHandle(), t0, time.Minute)
	for _, c := range change {
		c(v)
	}
	return v
}

func notBefore(seconds float64) func(*session.View) {
	return func(v *session.View) { v.NotBefore = after(seconds) }
}

func renewing(v *session.View) { v.Renewing = true }

func lastClass(c session.Class) func(*session.View) {
	return func(v *session.View) { v.LastClass = c }
}

func after(seconds float64) time.Time {
	return t0.Add(time.Duration(seconds * float64(time.Second)))
}

func TestNextStep(t *testing.T) {
	t.Parallel()
	bound := newView(session.NewHandle(), t0, time.Minute, withoutRefreshToken)
	for _, tt := range []struct {
		name             string
		view             *session.View
		at               float64 // seconds
		background, wait step    // by refresh.on_due
	}{
		{"fresh", minute(), 39, serve, serve},
		{"due", minute(), 40, kick, wait},
		{"due, last moment", minute(), 54.9, kick, wait},
		{"expired, alive", minute(), 55, wait, wait},
		{"expired", minute(), 61, wait, wait},
		{"fresh, backed off", minute(notBefore(90)), 39, serve, serve},
		{"due, backed off", minute(notBefore(50)), 49, serve, serve},
		{"due, back-off over", minute(notBefore(50)), 50, kick, wait},
		{"expired, alive, backed off", minute(notBefore(58)), 57, serve, serve},
		{"at its end, backed off", minute(notBefore(70)), 60, giveUp, giveUp},
		{"past its end, backed off", minute(notBefore(70)), 69, giveUp, giveUp},
		{"past its end, back-off over", minute(notBefore(70)), 70, wait, wait},
		{"fresh, its end under way", minute(renewing), 1, wait, wait},
		{"issued in the future", minute(), -61, wait, wait},
		{"no refresh token", bound, 59.9, serve, serve},
		{"no refresh token, at its end", bound, 60, giveUp, giveUp},
	} {
		if got := nextStep(tt.view, after(tt.at), false); got != tt.background {
			t.Errorf("%s, background: got step %d, want %d", tt.name, got, tt.background)
		}
		if got := nextStep(tt.view, after(tt.at), true); got != tt.wait {
			t.Errorf("%s, wait: got step %d, want %d", tt.name, got, tt.wait)
		}
	}
}

func navigation() *request { return reading(send(http.MethodGet, "/page", "sec-fetch-mode: navigate")) }
func script() *request     { return reading(send(http.MethodGet, "/page", "sec-fetch-mode: cors")) }

func reading(w wire) *request {
	r, err := read(w.check(raw), newGuard(identity))
	if err != nil {
		panic(err)
	}
	return &r
}

// outcome is a decision in the words of a table.
func outcome(d decision) string {
	if d.verdict == unavailable {
		return fmt.Sprintf("unavailable %v", d.retryAfter)
	}
	if d.keepBearer {
		return d.verdict.String() + " with bearer"
	}
	return d.verdict.String()
}

// Every way to fail, before and past the expiry of the token, for both kinds of
// caller, past exp.
func TestDecideFailed(t *testing.T) {
	t.Parallel()
	refused := func(c session.Class, retry float64) error {
		return fmt.Errorf("wrapped: %w", &session.RefreshError{Class: c, RetryAt: after(retry)})
	}
	const before, past = 57, 61
	for _, tt := range []struct {
		name              string
		err               error
		at                float64
		navigates, script string
	}{
		{"ended, alive", &session.EndedError{Reason: session.ReasonDead}, before, "login", "no_session"},
		{"ended", &session.EndedError{Reason: session.ReasonDead}, past, "login", "no_session"},
		{"not found", session.ErrNotFound, past, "login", "no_session"},
		{"dead", refused(session.Dead, 66), past, "login", "no_session"},
		{"foreign", refused(session.Foreign, 66), past, "login", "no_session"},
		{"refused", refused(session.Refused, 66), past, "login", "no_session"},
		{"transient", refused(session.Transient, 66), past, "unavailable 5s", "unavailable 5s"},
		{"unknown", refused(session.Unknown, 66), past, "unavailable 5s", "unavailable 5s"},
		{"misconfigured", refused(session.Misconfigured, 61.2), past, "unavailable 1s", "unavailable 1s"},
		{"retry in the past", refused(session.Transient, 1), past, "unavailable 1s", "unavailable 1s"},
		{"retry unknown", &session.RefreshError{Class: session.Transient}, past, "unavailable 2s", "unavailable 2s"},
		{"store", fmt.Errorf("begin: %w", session.ErrUnavailable), past, "unavailable 2s", "unavailable 2s"},
		{"time is up", context.DeadlineExceeded, past, "unavailable 2s", "unavailable 2s"},
		{"caller left", context.Canceled, past, "unavailable 2s", "unavailable 2s"},
		{"never heard of", errors.New("surprise"), past, "unavailable 2s", "unavailable 2s"},

		{"dead, alive", refused(session.Dead, 66), before, "allow", "allow"},
		{"refused, alive", refused(session.Refused, 66), before, "allow", "allow"},
		{"transient, alive", refused(session.Transient, 66), before, "allow", "allow"},
		{"store, alive", session.ErrUnavailable, before, "allow", "allow"},
		{"time is up, alive", context.DeadlineExceeded, before, "allow", "allow"},
		{"last moment", context.DeadlineExceeded, 59.999, "allow", "allow"},
		{"at its end", context.DeadlineExceeded, 60, "unavailable 2s", "unavailable 2s"},
	} {
		if got := outcome(decideFailed(navigation(), Rule{}, minute(), tt.err, after(tt.at))); got != tt.navigates {
			t.Errorf("%s: a navigation got %s, want %s", tt.name, got, tt.navigates)
		}
		if got := outcome(decideFailed(script(), Rule{}, minute(), tt.err, after(tt.at))); got != tt.script {
			t.Errorf("%s: a script got %s, want %s", tt.name, got, tt.script)
		}
	}
	if got := outcome(decideFailed(script(), Rule{}, nil, session.ErrUnavailable, t0)); got != "unavailable 2s" {
		t.Errorf("session that cannot be read: got %s", got)
	}
}

func TestDecideGivenUp(t *testing.T) {
	t.Parallel()
	const past = 61
	for _, tt := range []struct {
		name              string
		view              *session.View
		navigates, script string
	}{
		{"no refresh token", newView(session.NewHandle(), t0, time.Minute, withoutRefreshToken), "login", "no_session"},
		{"refused", minute(notBefore(90), lastClass(session.Refused)), "login", "no_session"},
		{"transient", minute(notBefore(90), lastClass(session.Transient)), "unavailable 29s", "unavailable 29s"},
		{"unknown", minute(notBefore(90), lastClass(session.Unknown)), "unavailable 29s", "unavailable 29s"},
		{"misconfigured", minute(notBefore(61.3), lastClass(session.Misconfigured)), "unavailable 1s", "unavailable 1s"},
		// The verdict came on a replay, and a winner that was cut off may still commit.
		{"dead in doubt", minute(notBefore(62), lastClass(session.Dead)), "unavailable 1s", "unavailable 1s"},
		{"no failure known", minute(notBefore(90)), "unavailable 29s", "unavailable 29s"},
	} {
		if got := outcome(decideGivenUp(navigation(), Rule{}, tt.view, after(past))); got != tt.navigates {
			t.Errorf("%s: a navigation got %s, want %s", tt.name, got, tt.navigates)
		}
		if got := outcome(decideGivenUp(script(), Rule{}, tt.view, after(past))); got != tt.script {
			t.Errorf("%s: a script got %s, want %s", tt.name, got, tt.script)
		}
	}
}

func TestDecideAlone(t *testing.T) {
	t.Parallel()
	none, required := Rule{NoSession: true}, Rule{}
	reject, pass := Rule{Bearer: BearerReject}, Rule{Bearer: BearerPass}
	const lookUp = "look up"
	for _, tt := range []struct {
		name      string
		request   wire
		rule      Rule
		hasHandle bool
		want      string
	}{
		{"own path", send("GET", "/auth/login"), required, false, "own"},
		{"own path, session", send("POST", "/auth/logout", "origin: https://evil.example"), required, true, "own"},
		{"own path under a public rule", send("GET", "/auth/x"), none, false, "own"},
		{"own preflight", send("OPTIONS", "/auth/logout", "access-control-request-method: POST"), required, false, "own"},
		{"own prefix without its slash", send("GET", "/auth"), required, false, "no_session"},
		{"longer than the own prefix", send("GET", "/authentic"), required, false, "no_session"},

		{"preflight", send("OPTIONS", "/x", "access-control-request-method: PUT", "sec-fetch-site: cross-site"), required, true, "anonymous"},
		{"preflight with authorization", send("OPTIONS", "/x", "access-control-request-method: PUT", "authorization: Bearer t"), pass, false, "anonymous"},
		{"options", send("OPTIONS", "/x"), required, false, "no_session"},
		{"method named in a GET", send("GET", "/x", "access-control-request-method: PUT"), required, false, "no_session"},

		{"session", send("GET", "/x"), required, true, lookUp},
		{"public", send("GET", "/x"), none, false, "anonymous"},
		{"public, session", send("GET", "/x"), none, true, "anonymous"},
		{"public, session, cross-site", send("POST", "/x", "sec-fetch-site: cross-site"), none, true, "anonymous"},

		{"navigation", send("GET", "/x", "sec-fetch-mode: navigate"), required, false, "login"},
		{"navigation, HEAD", send("HEAD", "/x", "sec-fetch-mode: navigate"), required, false, "login"},
		{"form", send("POST", "/x", "sec-fetch-mode: navigate"), required, false, "no_session"},
		{"script that takes anything", send("GET", "/x", "sec-fetch-mode: cors", "accept: text/html"), required, false, "no_session"},
		{"old browser", send("GET", "/x", "accept: text/html,*/*;q=0.8"), required, false, "login"},
		{"old browser, HEAD", send("HEAD", "/x", "accept: text/html"), required, false, "no_session"},
		{"old browser, form", send("POST", "/x", "accept: text/html"), required, false, "no_session"},
		{"old browser, script", send("GET", "/x", "accept: text/html, */*", "x-requested-with: XMLHttpRequest"), required, false, "no_session"},
		{"WebSocket", send("GET", "/x", "connection: upgrade", "upgrade: websocket", "sec-fetch-mode: websocket"), required, false, "no_session"},
		{"gRPC", send("POST", "/pkg.Service/Method", "content-type: application/grpc", "te: trailers"), required, false, "no_session"},
		{"tool", send("GET", "/x", "accept: */*"), required, false, "no_session"},
		{"nothing said", send("GET", "/x"), required, false, "no_session"},

		{"strip", send("GET", "/x", "authorization: Bearer t"), required, false, "no_session"},
		{"reject", send("GET", "/x", "authorization: Bearer t"), reject, false, "no_bearer"},
		{"reject, session", send("GET", "/x", "authorization: Bearer t"), reject, true, "no_bearer"},
		{"reject, empty", send("GET", "/x", "authorization: "), reject, true, "no_bearer"},
		{"reject, nothing to reject", send("GET", "/x"), reject, true, lookUp},
		{"pass", send("GET", "/x", "authorization: Bearer t"), pass, false, "anonymous with bearer"},
		{"pass, scheme without case", send("GET", "/x", "authorization: bEARER abc-._~+/0=="), pass, false, "anonymous with bearer"},
		{"pass, POST from elsewhere without a session", send("POST", "/x", "authorization: Bearer t", "origin: https://evil.example"), pass, false, "anonymous with bearer"},
		{"pass, session", send("GET", "/x", "authorization: Bearer t"), pass, true, lookUp},
		{"pass, nothing", send("GET", "/x"), pass, false, "no_session"},
		{"pass, basic", send("GET", "/x", "authorization: Basic dTpw"), pass, false, "no_session"},
		{"pass, no token", send("GET", "/x", "authorization: Bearer "), pass, false, "no_session"},
		{"pass, padding only", send("GET", "/x", "authorization: Bearer =="), pass, false, "no_session"},
		{"pass, two words", send("GET", "/x", "authorization: Bearer a b"), pass, false, "no_session"},
		{"pass, merged", send("GET", "/x", "authorization: Bearer one,Basic two"), pass, false, "two_bearers"},
		{"pass, merged, session", send("GET", "/x", "authorization: Bearer one", "authorization: Bearer two"), pass, true, "two_bearers"},
		{"pass, public, merged", send("GET", "/x", "authorization: Bearer a,Bearer b"), Rule{NoSession: true, Bearer: BearerPass}, false, "two_bearers"},
		{"pass, public, basic", send("GET", "/x", "authorization: Basic dTpw"), Rule{NoSession: true, Bearer: BearerPass}, false, "anonymous"},
	} {
		for _, as := range forms {
			r, err := read(tt.request.check(as), newGuard(identity))
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			d, ok := decideAlone(&r, tt.rule, tt.hasHandle, &settings{prefix: "/auth/", origin: origin})
			got := lookUp
			if ok {
				got = outcome(d)
			}
			if got != tt.want {
				t.Errorf("%s, %s: got %s, want %s", tt.name, as, got, tt.want)
			}
		}
	}
}

// With a session: from where may a request come that could do harm?
func TestCrossSite(t *testing.T) {
	t.Parallel()
	const ours, sibling, evil = "origin: " + origin, "origin: https://www.example.com", "origin: https://evil.example"
	for _, tt := range []struct {
		name    string
		headers []string
		refused bool
	}{
		{"no browser", nil, false},
		{"same-origin", []string{"sec-fetch-site: same-origin", ours}, false},
		{"typed in", []string{"sec-fetch-site: none"}, false},
		{"cross-site", []string{"sec-fetch-site: cross-site", evil}, true},
		{"sibling", []string{"sec-fetch-site: same-site", sibling}, true},
		{"cross-site with our origin", []string{"sec-fetch-site: cross-site", ours}, true},
		{"unheard of", []string{"sec-fetch-site: new-kind"}, true},
		{"empty", []string{"sec-fetch-site: "}, true},
		{"two answers", []string{"sec-fetch-site: same-origin", "sec-fetch-site: cross-site"}, true},
		{"our page that hides its origin", []string{"sec-fetch-site: same-origin", "origin: null"}, false}, // Referrer-Policy: no-referrer
		{"old browser, ours", []string{ours}, false},
		{"old browser, evil", []string{evil}, true},
		{"old browser, opaque", []string{"origin: null"}, true},
		{"old browser, other scheme", []string{"origin: http://app.example.com"}, true},
		{"old browser, other port", []string{"origin: https://app.example.com:8443"}, true},
		{"old browser, longer", []string{"origin: https://app.example.com.evil.example"}, true},
		{"two origins", []string{ours, evil}, true},
	} {
		for _, as := range forms {
			refused := func(method string, more ...string) bool {
				r, err := read(send(method, "/x", append(more, tt.headers...)...).check(as), newGuard(identity))
				if err != nil {
					t.Fatal(err)
				}
				d, ok := decideAlone(&r, Rule{}, true, &settings{prefix: "/auth/", origin: origin})
				return ok && d.verdict == crossSite
			}
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PROPFIND", "get"} {
				if got := refused(method); got != tt.refused {
					t.Errorf("%s, %s %s: refused %t", tt.name, as, method, got)
				}
			}
			if got := refused("GET", "connection: upgrade", "upgrade: WebSocket"); got != tt.refused {
				t.Errorf("%s, %s WebSocket: refused %t", tt.name, as, got)
			}
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				if refused(method) {
					t.Errorf("%s, %s %s: refused", tt.name, as, method)
				}
			}
		}
	}
}

func TestBudgetLeavesTimeToAnswer(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{
		5 * time.Second:        4500 * time.Millisecond,
		200 * time.Millisecond: 175 * time.Millisecond,
		20 * time.Millisecond:  0,
		-time.Second:           0,
	} {
		if got := budget(left); got != want {
			t.Errorf("budget(%v) = %v, want %v", left, got, want)
		}
	}
}

// A decision that nobody made must not be one that lets pass.
func TestTheZeroDecisionIsADenial(t *testing.T) {
	t.Parallel()
	f := newFront(t, &fake{})
	for v := range verdicts {
		answer := f.ok(navigation(), decision{verdict: v, headers: &prepared{remove: newRemoval(nil)}})
		if passes := answer.GetStatus().GetCode() == 0; passes != (v == allow || v == anonymous) {
			t.Errorf("%s: allowed %t", v, passes)
		}
	}
	if (decision{}).verdict != broken {
		t.Error("the zero decision is not broken")
	}
}
