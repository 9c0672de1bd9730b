package authz

import (
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// The handle that fuzzed requests may know.
const fuzzHandle = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func fuzzFront(t testing.TB) *front {
	h, err := session.ParseHandle(fuzzHandle)
	if err != nil {
		t.Fatal(err)
	}
	return newFront(t, &fake{views: map[session.ID]*session.View{h.ID(): newView(h, time.Now(), 20*time.Hour)}})
}

// FuzzCheck asks with anything a client may write, and judges what upstream sees
// by rules of its own.
func FuzzCheck(f *testing.F) {
	cookie := "cookie: " + cookieName + "=" + fuzzHandle
	for _, seed := range []struct{ method, target, headers string }{
		{"GET", "/x", cookie},
		{"GET", "/x", cookie + "; a=\xff\ncookie: b=2,c=3\nX_USER_ID: 1\nauthorization: Bearer a"},
		{"POST", "/x", cookie + "\norigin: https://evil.example"},
		{"GET", "/x", cookie + "\nupgrade: websocket\nsec-fetch-site: same-site"},
		{"GET", "/public/../x", "x.user!id: 1"},
		{"GET", "/public/%2e%2e/x", ""},
		{"GET", "/api/x", "authorization: Bearer a\nAuthorization: Basic b"},
		{"GET", "/api/x", "authorization: Bearer abc"},
		{"OPTIONS", "/x", "access-control-request-method: PUT\nX-User-Id: 1"},
		{"GET", "/auth/callback?code=1", cookie + "; __Host-bff_login_A=1"},
		{"GET", "/x", "sec-fetch-mode: navigate\naccept: text/html"},
		{"GET", "/x", "cookie: " + cookieName + "=" + fuzzHandle + "," + cookieName + "=" + fuzzHandle},
		{"", "", ""},
	} {
		for _, as := range []bool{true, false} {
			f.Add(seed.method, seed.target, seed.headers, as)
		}
	}
	server := fuzzFront(f)
	f.Fuzz(func(t *testing.T, method, target, headers string, isRaw bool) {
		w := send(method, target)
		for l := range strings.SplitSeq(headers, "\n") {
			if name, value, ok := strings.Cut(l, ": "); ok && name != "" {
				w.add(strings.ToLower(strings.ToValidUTF8(name, "!")), value)
			}
		}
		as := merged
		if isRaw {
			as = raw
		}
		front := &front{Server: server.Server, fake: server.fake, log: server.log}
		r := front.do(t, w, as)
		if r.allowed {
			mustBeRightlyAllowed(t, w, as, r)
		}
	})
}

// all is the text of the headers.
func (w wire) all() string {
	var b strings.Builder
	for _, f := range w.fields {
		b.WriteString(f[0] + ": " + f[1] + "\n")
	}
	return b.String()
}

func mustBeRightlyAllowed(t *testing.T, w wire, as form, r result) {
	t.Helper()
	p, _, _ := strings.Cut(w.target, "?")
	if strings.HasPrefix(p, "/auth/") {
		t.Errorf("own path %q passes", p)
	}
	var sent []string
	for _, f := range w.fields {
		if strings.EqualFold(f[0], "cookie") {
			sent = append(sent, f[1])
		}
	}
	got := r.upstream["authorization"]
	switch {
	case slices.Equal(got, []string{want["authorization"]}) && !strings.Contains(w.all(), token):
		if !strings.Contains(strings.Join(sent, "\n"), cookieName) || !strings.Contains(strings.Join(sent, "\n"), fuzzHandle) {
			t.Errorf("a session is served to cookies %q", sent)
		}
		r.mustServe(t)
	case len(got) == 0:
		if !below(p, "/public") && !below(p, "/hook") && w.method != "OPTIONS" {
			t.Errorf("%s %q passes without anything", w.method, w.target)
		}
		r.mustBeAnonymous(t)
	default:
		if len(got) > 1 || !strings.EqualFold(got[0][:min(7, len(got[0]))], "Bearer ") || strings.Contains(got[0], ",") || !below(p, "/api") && !below(p, "/hook") {
			t.Errorf("%q passes with %q", w.target, got)
		}
		r.mustNotForge(t, map[string]string{"authorization": got[0]})
	}
	for _, line := range r.upstream["cookie"] {
		for crumb := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ';' || c == ',' && as == merged }) {
			name, _, _ := strings.Cut(crumb, "=")
			if name = strings.Trim(name, " \t"); name == cookieName || strings.HasPrefix(name, ownCookies) {
				t.Errorf("our cookie reaches upstream in %q", line)
			}
		}
	}
}

// FuzzCheckMessage asks with any message that gRPC could deliver.
func FuzzCheckMessage(f *testing.F) {
	for _, w := range []wire{send("GET", "/x", "cookie: "+cookieName+"="+fuzzHandle), send("POST", "/auth/logout"), send("GET", "/api/x", "authorization: Bearer a")} {
		for _, as := range forms {
			message, err := proto.Marshal(w.check(as))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(message)
		}
	}
	f.Add([]byte{})
	server := fuzzFront(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		var check authv3.CheckRequest
		if proto.Unmarshal(message, &check) != nil {
			return // gRPC refuses it before us
		}
		answer, err := server.Check(t.Context(), &check)
		if err != nil {
			t.Fatal(err)
		}
		mustHold(t, answer)
		if testutil.ToFloat64(server.opts.Metrics.panics) != 0 {
			t.Fatalf("panicked:\n%s", server.log)
		}
	})
}
