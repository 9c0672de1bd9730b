package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// Two lamplighters with separate stores behind one app, which is a mistake: the
// one that does not know a session offers a login and spoils nothing, and a
// browser that is sent in circles is told why.
func TestTwoLamplightersWithSeparateStores(t *testing.T) {
	t.Parallel()
	listen := func(at string) string {
		return fmt.Sprintf("listen: {check: \"unix://%s\", admin: \"127.0.0.1:0\"}", at)
	}
	first, second := socket(t), socket(t)
	s := stack.Start(t, stack.Options{Bootstrap: envoytest.Shipped, Config: listen(first)}) // which repeats a Check when the link is led elsewhere
	l := newLink(t, s.File("check.sock"), first)
	other := s.NewLamplighter(t, s.WriteConfig(t, listen(second)+fmt.Sprintf("\nstore: {bolt: {path: %q}}", s.File("second.db"))), nil)
	other.Start()
	b := s.Browser(t)
	bearer := b.Login("/page?n=1", "ada").Bearer(t)

	l.lead(second)
	for name, a := range map[string]stack.Answer{"a navigation": b.VisitOnce("/page"), "fetch()": b.Fetch("/page"), "session": b.Fetch("/auth/session")} {
		if setCookie(a, sessionCookie) != nil {
			t.Errorf("%s at the second touches the session cookie", name)
		}
		if want := map[string]int{"a navigation": 302, "fetch()": 401, "session": 401}[name]; a.Status != want {
			t.Errorf("%s at the second: %v, want %d", name, a, want)
		}
	}
	toProvider(t, s, b.VisitOnce("/page"))
	l.lead(first)
	if got := b.Fetch("/page").Bearer(t); got != bearer {
		t.Error("the second has spoiled the session of the first")
	}

	// From here on each navigation meets the one that does not know the browser.
	// The provider does, so nobody types anything.
	l.lead(second)
	if a := b.Visit("/page?n=2"); a.Echo(t).Path != "/page?n=2" {
		t.Errorf("the second login: %v", a)
	}
	l.lead(first)
	for range 2 {
		page := b.Visit("/page?n=3")
		if page.Status != http.StatusOK || !strings.HasPrefix(page.URL, s.URL+"/auth/callback?") {
			t.Fatalf("the third login: %d at %s, want a page in place of the redirect", page.Status, page.URL)
		}
		for _, want := range []string{"three times within a minute", "do not share a session store", `href="/page?n=3"`} {
			if !strings.Contains(page.Body, want) {
				t.Errorf("the page does not say %q: %s", want, page.Body)
			}
		}
		if !accepted(t, s, b.Fetch("/page").Bearer(t)) { // it is a login all the same
			t.Error("no good token behind the page")
		}
		if l.to == first {
			l.lead(second)
		}
	}
	for name, log := range map[string]string{"first": s.Lamplighter.Log(), "second": other.Log()} {
		if strings.Count(log, "is the store shared by all replicas") != 1 {
			t.Errorf("the operator of the %s is not told once", name)
		}
	}
	if a := s.Browser(t).Login("/", "ada"); a.Status != http.StatusOK || a.Bearer(t) == "" {
		t.Errorf("another browser: %v", a)
	}
}
