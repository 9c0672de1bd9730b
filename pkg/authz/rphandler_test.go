package authz

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// answering is a front whose relying party answers so.
func answering(t *testing.T, answer http.HandlerFunc) *front {
	t.Helper()
	return newFront(t, &fake{answer: answer})
}

func TestTheRelyingPartyIsAskedAsAServerIs(t *testing.T) {
	t.Parallel()
	h := session.NewHandle()
	for _, as := range forms {
		var body []byte
		f := answering(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
		w := send("POST", "/auth/logout?a=b%2Fc&d", "accept: text/html", "origin: "+origin, "x-two: 1", "x-two: 2",
			"cookie: a=1; "+sessionCookie(h), "cookie: "+ownCookies+"ABCDEFGH=sealed; b=2")
		check := w.check(as)
		check.Attributes.Request.Http.Body = "form=1"
		if _, err := f.Check(t.Context(), check); err != nil {
			t.Fatal(err)
		}
		r := f.asked[0]
		if r.Method != "POST" || r.URL.String() != origin+"/auth/logout?a=b%2Fc&d" || r.URL.Path != "/auth/logout" ||
			r.Host != "app.example.com" || r.RequestURI != "/auth/logout?a=b%2Fc&d" || string(body) != "form=1" {
			t.Errorf("%s: got %s %s, host %s, body %q", as, r.Method, r.URL, r.Host, body)
		}
		// Of the cookies it sees ours, each on a line of its own in either form.
		if got := r.Header["Cookie"]; !slices.Equal(got, []string{sessionCookie(h), ownCookies + "ABCDEFGH=sealed"}) {
			t.Errorf("%s: got cookies %q", as, got)
		}
		if r.Header.Get("Accept") != "text/html" || r.Header.Get("Origin") != origin || strings.Join(r.Header["X-Two"], ",") != "1,2" {
			t.Errorf("%s: got %q", as, r.Header)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, ":") {
				t.Errorf("%s: pseudo header %s", as, name)
			}
		}
	}
}

func TestARawBodyIsTheBody(t *testing.T) {
	t.Parallel()
	var body []byte
	f := answering(t, func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
	check := send("POST", "/auth/x").check(raw)
	check.Attributes.Request.Http.RawBody = []byte("\xff\x00")
	if _, err := f.Check(t.Context(), check); err != nil || string(body) != "\xff\x00" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestOwnPathsNeedNoSessionAndLookNoneUp(t *testing.T) {
	t.Parallel()
	f, h := known(t, freshView)
	f.getErr = session.ErrUnavailable
	for _, path := range []string{"/auth/", "/auth/session", "/auth/callback?code=1", "/auth/../public/x", "/auth//x", "/auth/%2e%2e/x"} {
		f.do(t, send("GET", path, "cookie: "+sessionCookie(h)), raw).mustDeny(t, http.StatusFound)
	}
	if len(f.asked) != 6 || f.gets+f.uses > 0 {
		t.Errorf("asked %d times, %d gets, %d uses", len(f.asked), f.gets, f.uses)
	}
}

func TestTheAnswerOfTheRelyingParty(t *testing.T) {
	t.Parallel()
	header := func(w http.ResponseWriter, lines ...string) {
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			w.Header()[name] = append(w.Header()[name], value)
		}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		status int
		body   string
		header http.Header // besides no-store
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 200, "", http.Header{}},
		{"body alone", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a", "b") }, 200, "ab", http.Header{}},
		{"redirect", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "Location: https://op.example.com/?a=b", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/")
			w.WriteHeader(http.StatusSeeOther)
		}, 303, "", http.Header{"Location": {"https://op.example.com/?a=b"}, "Set-Cookie": {"a=1; Path=/", "b=2; Path=/"}}},
		{"caching is ours", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "Cache-Control: public", "Cache-Control: max-age=60")
			w.WriteHeader(http.StatusOK)
		}, 200, "", http.Header{}},
		{"too late", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "X-In-Time: 1")
			w.WriteHeader(http.StatusNotFound)
			header(w, "X-Too-Late: 1")
			w.WriteHeader(http.StatusOK)
		}, 404, "", http.Header{"X-In-Time": {"1"}}},
		{"informational", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, 202, "", http.Header{}},
		{"no content", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			fmt.Fprint(w, "body")
		}, 204, "", http.Header{}},
		{"not modified", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotModified)
			fmt.Fprint(w, "body")
		}, 304, "", http.Header{}},
		{"Envoy's own", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "Content-Length: 4", "Transfer-Encoding: chunked", "Connection: close", "X-Envoy-Foo: 1", "Host: x", "Content-Type: text/plain")
			fmt.Fprint(w, "body")
		}, 200, "body", http.Header{"Content-Type": {"text/plain"}}},
		{"line breaks", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "X-Split: a\r\nSet-Cookie: evil=1", "X-Nul: a\x00b", "X-Bytes: \xff", "X Space: 1", "X\nName: 1", "X-Fine: a\tb")
			fmt.Fprint(w, "caf\xe9")
		}, 200, "caf\uFFFD", http.Header{"X-Fine": {"a\tb"}}},
		{"unknown status", func(w http.ResponseWriter, _ *http.Request) {
			header(w, "X-Any: 1")
			w.WriteHeader(299)
			fmt.Fprint(w, "body")
		}, 503, "", http.Header{}},
	} {
		r := answering(t, tt.answer).do(t, send("GET", "/auth/x"), raw)
		r.mustDeny(t, tt.status)
		tt.header.Set("Cache-Control", "no-store")
		if r.body != tt.body || fmt.Sprint(r.header) != fmt.Sprint(tt.header) {
			t.Errorf("%s: got %q %v, want %q %v", tt.name, r.body, r.header, tt.body, tt.header)
		}
	}
}

// Envoy takes 0 for 403 and hangs the client after 100.
func TestADenialHasAFinalStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 100, 101, -1, 600} {
		answer := deny(status, "body", nil)
		mustHold(t, answer)
		if got := answer.GetDeniedResponse().GetStatus().GetCode(); got != http.StatusServiceUnavailable {
			t.Errorf("%d became %d", status, got)
		}
	}
}

// The handler's time ends before Envoy's does, and its values are the Check's.
func TestTheContextOfTheRelyingParty(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{5 * time.Second: 4500 * time.Millisecond, time.Hour: maxPage, 0: maxPage} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			f := answering(t, func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, timeout)
			}
			defer cancel()
			f.doCtx(t, ctx, send("GET", "/auth/callback"), raw).mustDeny(t, http.StatusServiceUnavailable)
			if took := time.Since(began); took != want {
				t.Errorf("timeout %v: the handler had %v, want %v", timeout, took, want)
			}
		})
	}
}

func TestAPathThatNoServerReads(t *testing.T) {
	t.Parallel()
	f := newFront(t, &fake{})
	f.do(t, send("GET", "/auth/%zz"), raw).mustDeny(t, http.StatusBadRequest)
	if len(f.asked) > 0 {
		t.Error("the relying party was asked")
	}
}

// Whatever page a browser wants, the login comes back to exactly that one.
func TestALoginRemembersThePage(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/a?b=c&return_to=/x", "/a%2Fb?q=%26", "/x?y=a+b", "//evil.example/", "/%zz"} {
		for _, method := range []string{"GET", "HEAD"} {
			f := newFront(t, &fake{})
			f.do(t, send(method, target, "sec-fetch-mode: navigate"), merged).mustDeny(t, http.StatusFound)
			asked := f.asked[0]
			if got := asked.URL.Query()["return_to"]; !slices.Equal(got, []string{target}) || asked.Method != http.MethodGet {
				t.Errorf("%s %s: %s with return_to %q", method, target, asked.Method, got)
			}
		}
	}
}
