package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// spellings are the ways to write a name that some upstream reads alike.
func spellings(name string) []string {
	var all []string
	for _, separator := range []string{"-", "_", ".", "!", "~"} {
		one := strings.ReplaceAll(name, "-", separator)
		all = append(all, one, strings.ToUpper(one))
	}
	if first, rest, ok := strings.Cut(name, "-"); ok {
		all = append(all, first+"_"+rest, first+"."+strings.ReplaceAll(rest, "-", "_"), "X"+name[1:])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Every guarded header, in every spelling, alone and beside the real one, on
// every kind of route and in both forms: none reaches upstream from a client.
// Envoy lowers the names that Check sees; we do not count on it.
func TestNoSpellingOfAGuardedHeaderPasses(t *testing.T) {
	t.Parallel()
	f, h := known(t, freshView)
	routes := map[string]wire{
		"session":   send("GET", "/x", "cookie: "+sessionCookie(h)),
		"public":    send("GET", "/public/x"),
		"preflight": send("OPTIONS", "/x", "access-control-request-method: GET"),
		"denied":    send("GET", "/x"),
	}
	for guarded := range want {
		for _, name := range spellings(guarded) {
			for route, w := range routes {
				for _, as := range forms {
					for _, others := range [][]string{nil, {guarded}, {name, strings.ToLower(name)}} {
						w := wire{w.method, w.target, slices.Clone(w.fields)}
						for _, other := range append(others, name) {
							w.add(other, "forged")
						}
						r := f.do(t, w, as)
						switch route {
						case "session":
							r.mustServe(t)
						case "denied":
							r.mustDeny(t, 401)
						default:
							r.mustBeAnonymous(t)
						}
						if t.Failed() {
							t.Fatalf("%s as %q on %s, %s", guarded, name, route, as)
						}
					}
				}
			}
		}
	}
}

// What only resembles a guarded header is the app's.
func TestOtherHeadersAreLeftAlone(t *testing.T) {
	t.Parallel()
	f, h := known(t, freshView)
	names := []string{"x-user-ids", "x-user-i", "xuser-id", "user-id", "x--user-id", "proxy-authorization", "authorization-x", "x-userid", "x-user1id", "accept", "te"}
	for _, as := range forms {
		w := send("GET", "/x", "cookie: "+sessionCookie(h))
		for _, name := range names {
			w.add(name, "theirs")
		}
		r := f.do(t, w, as)
		r.mustServe(t)
		for _, name := range names {
			if got := r.upstream[name]; !slices.Equal(got, []string{"theirs"}) {
				t.Errorf("%s, %s: upstream sees %q", as, name, got)
			}
		}
	}
}

// A header of a guarded name that Envoy was told not to show us is removed all
// the same.
func TestGuardedHeadersAreRemovedUnseen(t *testing.T) {
	t.Parallel()
	f := newFront(t, &fake{})
	remove := f.do(t, send("GET", "/public/x"), raw).answer.GetOkResponse().GetHeadersToRemove()
	for name := range want {
		if !slices.Contains(remove, name) {
			t.Errorf("%s is not removed", name)
		}
	}
}

func TestTheGuardComparesNames(t *testing.T) {
	t.Parallel()
	g := newGuard(Identity{UserID: "X_User.ID", SessionID: "x-long-" + strings.Repeat("n", 70)})
	for name, want := range map[string]spelling{
		"x_user.id": exact, "X_USER.ID": exact, "x-user-id": lookalike, "x_user_id": lookalike, "authorization": exactlyBearer,
		"AuthoriZation": exactlyBearer, "authorizatio_": unrelated, "x-usr--id": unrelated, "": unrelated,
		"x_long-" + strings.Repeat("n", 70): lookalike, "x-user-id" + strings.Repeat("n", 64): unrelated,
	} {
		if got := g.look(name); got != want {
			t.Errorf("%q: got %d, want %d", name, got, want)
		}
	}
}

func TestCookiesUpstream(t *testing.T) {
	t.Parallel()
	h := session.NewHandle()
	ours, attempt := sessionCookie(h), ownCookies+"ABCDEFGH=sealed"
	for _, tt := range []struct {
		name    string
		lines   []string
		raw     []string
		merged  []string
		touches bool
	}{
		{"none", nil, nil, nil, false},
		{"only theirs", []string{"a=1;b=2 ;;  c"}, []string{"a=1;b=2 ;;  c"}, []string{"a=1;b=2 ;;  c"}, false},
		{"only theirs, two lines", []string{"a=1", "b=2"}, []string{"a=1", "b=2"}, []string{"a=1", "b=2"}, false},
		{"only theirs, not UTF-8", []string{"a=\xff"}, []string{"a=\xff"}, []string{"a=\xff"}, false},
		{"only ours", []string{ours}, nil, nil, true},
		{"all of ours", []string{attempt + "; " + ours + "; " + ownCookies + "recent=x"}, nil, nil, true},
		{"all of ours, lines", []string{attempt, ours}, nil, nil, true},
		{"ours first", []string{ours + `; a="1; x"; b=2`}, []string{`a="1; x"; b=2`}, []string{`a="1; x"; b=2`}, true},
		{"ours last", []string{"a=1;  b=2; " + ours}, []string{"a=1;  b=2"}, []string{"a=1;  b=2"}, true},
		{"ours amid", []string{"a=1; " + ours + ";b=2"}, []string{"a=1; b=2"}, []string{"a=1; b=2"}, true},
		{"lines become one", []string{"a=1; b=2", ours, "c=3"}, []string{"a=1; b=2; c=3"}, []string{"a=1; b=2; c=3"}, true},
		{"commas are theirs", []string{"a=1,2; " + ours + "; b=x,y"}, []string{"a=1,2; b=x,y"}, []string{"a=1,2; b=x,y"}, true},
		{"not UTF-8 cannot be sent", []string{ours + "; a=\xff; b=2"}, []string{"b=2"}, []string{"a=!; b=2"}, true},
		{"nothing can be sent", []string{ours + "; a=\xff"}, nil, []string{"a=!"}, true},
	} {
		for _, as := range forms {
			f := newFront(t, &fake{views: map[session.ID]*session.View{h.ID(): freshView(h)}})
			for _, path := range []string{"/x", "/public/x"} {
				w := send("GET", path)
				for _, l := range tt.lines {
					w.add("cookie", l)
				}
				r := f.do(t, w, as)
				if !strings.Contains(strings.Join(tt.lines, ""), ours) && path == "/x" {
					r.mustDeny(t, 401)
					continue
				}
				want := map[form][]string{raw: tt.raw, merged: tt.merged}[as]
				if got := r.upstream["cookie"]; !slices.Equal(got, want) {
					t.Errorf("%s, %s, %s: upstream sees %q, want %q", tt.name, as, path, got, want)
				}
				if got := strings.Contains(fmt.Sprint(r.answer), "cookie"); got != tt.touches {
					t.Errorf("%s, %s, %s: touches the header: %t", tt.name, as, path, got)
				}
			}
		}
	}
}
