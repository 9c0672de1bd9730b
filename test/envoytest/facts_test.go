package envoytest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/lamplighter/lamplighter/test/envoytest"
)

// each runs a fact on both bootstraps, over both protocols.
func each(t *testing.T, fact func(t *testing.T, bootstrap string, http2 bool)) {
	t.Helper()
	for _, bootstrap := range []string{envoytest.Shipped, envoytest.Bare} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%t", bootstrap, http2), func(t *testing.T) {
				t.Parallel()
				fact(t, bootstrap, http2)
			})
		}
	}
}

var identity = []string{"x-user-id", "x-user-email", "x-user-name", "x-auth-time", "x-session-id"}

func TestAnAllowedRequestReachesTheAppWithTheInjectedHeader(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, bootstrap string, http2 bool) {
		g := start(t, bootstrap, always(ok([][2]string{
			{"authorization", "Bearer fresh"}, {"cookie", "theirs=1"}, {"x-user-id", "u1"},
		}, "x-gone")))
		got := g.get(t, http2, "/page?q=1", "authorization: Bearer client", "cookie: ours=h",
			"cookie: theirs=1", "x-gone: a", "x-gone: b", "x-user-id: forged", "x-user-id: twice")
		if got.status != http.StatusOK {
			t.Fatalf("got status %d", got.status)
		}
		request := got.echoed(t)
		want := map[string][]string{
			"authorization": {"Bearer fresh"}, "cookie": {"theirs=1"}, "x-user-id": {"u1"}, "x-gone": nil,
		}
		for name, values := range want {
			if !slices.Equal(request.Headers[name], values) {
				t.Errorf("%s: got %q, want %q", name, request.Headers[name], values)
			}
		}
		if request.Path != "/page?q=1" || g.app.Requests() != 1 || len(g.stub.checks()) != 1 {
			t.Errorf("got path %s, %d requests, %d checks", request.Path, g.app.Requests(), len(g.stub.checks()))
		}
	})
}

func TestADeniedAnswerReachesTheClientAsGiven(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, bootstrap string, http2 bool) {
		g := start(t, bootstrap, always(denied(http.StatusUnauthorized, `{"title":"sign in"}`,
			[2]string{"content-type", "application/problem+json"}, [2]string{"www-authenticate", "Bearer"},
			[2]string{"set-cookie", "a=1; Path=/"}, [2]string{"set-cookie", "b=2; Path=/"})))
		got := g.get(t, http2, "/")
		if got.status != http.StatusUnauthorized || got.body != `{"title":"sign in"}` {
			t.Errorf("got status %d, body %q", got.status, got.body)
		}
		if cookies := got.header["Set-Cookie"]; !slices.Equal(cookies, []string{"a=1; Path=/", "b=2; Path=/"}) {
			t.Errorf("got set-cookie %q", cookies)
		}
		if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("got content-type %q", kind)
		}
		if g.app.Requests() != 0 {
			t.Error("the app was called")
		}
	})
}

// The trap behind one constructor for each answer: the code alone decides.
func TestOnlyTheStatusCodeDecides(t *testing.T) {
	t.Parallel()
	withoutCode := denied(http.StatusUnauthorized, "no")
	withoutCode.Status = nil
	for name, response := range map[string]*authv3.CheckResponse{"empty": {}, "denied_response without code": withoutCode} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, envoytest.Shipped, always(response))
			if got := g.get(t, false, "/"); got.status != http.StatusOK || g.app.Requests() != 1 {
				t.Errorf("got status %d, %d requests: Envoy no longer takes this for an allow", got.status, g.app.Requests())
			}
		})
	}
}

func TestShippedRemovesIdentityHeadersBeforeTheCheck(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%t", http2), func(t *testing.T) {
			t.Parallel()
			g := start(t, envoytest.Shipped, always(ok(nil)))
			headers := []string{"authorization: Bearer client"}
			for _, name := range identity {
				headers = append(headers, name+": forged", name+": twice")
			}
			request := g.get(t, http2, "/", headers...).echoed(t)
			for _, name := range identity {
				if got := lines(g.stub.checks()[0], name); got != nil {
					t.Errorf("%s: Check saw %q", name, got)
				}
				if got := request.Headers[name]; got != nil {
					t.Errorf("%s: the app saw %q", name, got)
				}
			}
			if got := request.Headers["authorization"]; !slices.Equal(got, []string{"Bearer client"}) {
				t.Errorf("authorization is lamplighter's to judge, the app saw %q", got)
			}
		})
	}
}

// What lamplighter must clean by itself, and that it can.
func TestBarePassesEverySpellingAndRemovesWhatCheckNames(t *testing.T) {
	t.Parallel()
	spellings := []string{"x-user-id", "x_user_id", "x.user.id"}
	client := []string{"X-User-Id: forged", "X_User_Id: forged", "X.User.Id: forged"}
	for name, remove := range map[string][]string{"kept": nil, "removed": spellings} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, envoytest.Bare, always(ok(nil, remove...)))
			request := g.raw(t, "/", client...).echoed(t)
			for _, spelling := range spellings {
				if got := lines(g.stub.checks()[0], spelling); len(got) != 1 {
					t.Errorf("%s: Check saw %q", spelling, got)
				}
				if _, kept := request.Headers[spelling]; kept != (remove == nil) {
					t.Errorf("%s: reached the app: %t", spelling, kept)
				}
			}
		})
	}
}

func TestCookieLines(t *testing.T) {
	t.Parallel()
	for bootstrap, want := range map[string][]string{
		envoytest.Shipped: {"a=1; b=2", "c=3"},
		envoytest.Bare:    {"a=1; b=2,c=3"},
	} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			g := start(t, bootstrap, always(ok(nil)))
			request := g.raw(t, "/", "Cookie: a=1; b=2", "cookie: c=3").echoed(t)
			if got := lines(g.stub.checks()[0], "cookie"); !slices.Equal(got, want) {
				t.Errorf("HTTP/1.1: Check saw %q, want %q", got, want)
			}
			if got := request.Headers["cookie"]; !slices.Equal(got, []string{"a=1; b=2", "c=3"}) {
				t.Errorf("HTTP/1.1: the app saw %q", got)
			}
			g.get(t, true, "/", "cookie: a=1", "cookie: b=2", "cookie: c=3")
			if got := lines(g.stub.checks()[1], "cookie"); !slices.Equal(got, []string{"a=1; b=2; c=3"}) {
				t.Errorf("HTTP/2: Check saw %q", got)
			}
		})
	}
}

func TestWithoutLamplighterNothingPasses(t *testing.T) {
	t.Parallel()
	for bootstrap, want := range map[string]int{
		envoytest.Shipped: http.StatusServiceUnavailable,
		envoytest.Bare:    http.StatusForbidden,
	} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			e := envoytest.Run(t, envoytest.Options{
				Bootstrap: bootstrap, AuthzAddress: "unix://" + socketPath(t), AppAddress: "127.0.0.1:1", Concurrency: 1,
			})
			g := &gateway{Envoy: e}
			if got := g.get(t, false, "/"); got.status != want || got.body != "" {
				t.Errorf("got status %d, body %q, want %d, empty", got.status, got.body, want)
			}
		})
	}
}

// cutting closes the first connections before a byte is answered, like a server
// that dies with Checks in hand.
type cutting struct {
	net.Listener
	left atomic.Int32
}

func (c *cutting) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || c.left.Add(-1) < 0 {
			return conn, err
		}
		conn.Close()
	}
}

func TestChecksCutOffAreAskedAgain(t *testing.T) {
	t.Parallel()
	const parallel = 50 // the default breaker lets 3 retry at a time
	for bootstrap, all := range map[string]bool{
		envoytest.Shipped: true,
		envoytest.Bare:    false, // so the retry is the bootstrap's, not Envoy's own
	} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			cut := func(inner net.Listener) net.Listener {
				c := &cutting{Listener: inner}
				c.left.Store(2)
				return c
			}
			g := setup{listener: cut}.start(t, bootstrap, always(ok(nil)))
			client := http2Transport(t)
			var clients sync.WaitGroup
			var allowed atomic.Int32
			for range parallel {
				clients.Go(func() {
					response, err := client.RoundTrip(g.request(t, "/"))
					if err != nil {
						t.Error(err)
						return
					}
					response.Body.Close()
					if response.StatusCode == http.StatusOK {
						allowed.Add(1)
					}
				})
			}
			clients.Wait()
			if (allowed.Load() == parallel) != all {
				t.Errorf("%d of %d requests passed", allowed.Load(), parallel)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	shipped := start(t, envoytest.Shipped, always(ok(nil)))
	bare := start(t, envoytest.Bare, always(ok(nil)))
	for _, c := range []struct{ sent, shipped string }{ // "" is a 400 before Check
		{"/a/../admin?q=/../x", "/admin?q=/../x"},
		{"/a/%2e%2e/admin", "/admin"},
		{"//admin", "/admin"},
		{"/./admin", "/admin"},
		{"/a\\..\\admin", "/admin"},
		{"/%61dmin", "/admin"},
		{"/admin;x=1", "/admin;x=1"},
		{"/a%20b", "/a%20b"},
		{"/a%2f..%2fadmin", ""},
		{"/a%5C..%5Cadmin", ""},
		{"/a%00", ""},
	} {
		before := len(shipped.stub.checks())
		got := shipped.raw(t, c.sent)
		checks := shipped.stub.checks()[before:]
		if c.shipped == "" {
			if got.status != http.StatusBadRequest || len(checks) != 0 {
				t.Errorf("%s: got status %d, %d checks", c.sent, got.status, len(checks))
			}
		} else if path := got.echoed(t).Path; path != c.shipped || checks[0].GetPath() != c.shipped {
			t.Errorf("%s: the app saw %s, Check %s, want %s", c.sent, path, checks[0].GetPath(), c.shipped)
		}

		// Verbatim: lamplighter has to judge what the app will see.
		before = len(bare.stub.checks())
		path := bare.raw(t, c.sent).echoed(t).Path
		if check := bare.stub.checks()[before].GetPath(); path != c.sent || check != c.sent {
			t.Errorf("bare: %s: the app saw %s, Check %s", c.sent, path, check)
		}
	}
}

func TestShippedRefusesUnderscores(t *testing.T) {
	t.Parallel()
	g := start(t, envoytest.Shipped, always(ok(nil)))
	if got := g.raw(t, "/", "X_User_ID: forged"); got.status != http.StatusBadRequest {
		t.Errorf("HTTP/1.1: got status %d", got.status)
	}
	g.awaitStat(t, "http1.requests_rejected_with_underscores_in_headers", 1)

	// Over HTTP/2 the stream is reset: there is no answer to read.
	if response, err := g.http2(t, "/", "x_user_id: forged"); err == nil {
		response.Body.Close()
		t.Errorf("HTTP/2: got status %d", response.StatusCode)
	}
	g.awaitStat(t, "http2.requests_rejected_with_underscores_in_headers", 1)

	if len(g.stub.checks()) != 0 || g.app.Requests() != 0 {
		t.Errorf("got %d checks, %d requests to the app", len(g.stub.checks()), g.app.Requests())
	}
}

func TestAuthPathsReachCheckAndNeverTheApp(t *testing.T) {
	t.Parallel()
	g := start(t, envoytest.Shipped, func(request *authv3.CheckRequest) *authv3.CheckResponse {
		if strings.HasPrefix(request.GetAttributes().GetRequest().GetHttp().GetPath(), "/auth/login") {
			return denied(http.StatusFound, "", [2]string{"location", "https://op.example/authorize"})
		}
		return ok(nil)
	})
	if got := g.get(t, false, "/auth/login?to=/x"); got.status != http.StatusFound || got.header.Get("Location") != "https://op.example/authorize" {
		t.Errorf("got status %d, location %q", got.status, got.header.Get("Location"))
	}
	if got := g.get(t, false, "/auth/unknown"); got.status != http.StatusNotFound {
		t.Errorf("a path that lamplighter lets pass: got status %d", got.status)
	}
	if len(g.stub.checks()) != 2 || g.app.Requests() != 0 {
		t.Errorf("got %d checks, %d requests to the app", len(g.stub.checks()), g.app.Requests())
	}
}

func TestShippedDoesNotBelieveTheClientAboutItsAddress(t *testing.T) {
	t.Parallel()
	headers := []string{"x-forwarded-proto: https", "x-forwarded-for: 192.0.2.7"}
	shipped := start(t, envoytest.Shipped, always(ok(nil))).raw(t, "/", headers...).echoed(t).Headers
	if got := shipped["x-forwarded-proto"]; !slices.Equal(got, []string{"http"}) {
		t.Errorf("x-forwarded-proto: got %q", got)
	}
	// Envoy adds the peer; for loopback that is the machine's own address.
	if got := shipped["x-forwarded-for"]; len(got) != 1 || !strings.HasPrefix(got[0], "192.0.2.7,") {
		t.Errorf("x-forwarded-for: got %q", got)
	}

	bare := start(t, envoytest.Bare, always(ok(nil))).raw(t, "/", headers...).echoed(t).Headers
	if got := bare["x-forwarded-proto"]; !slices.Equal(got, []string{"https"}) {
		t.Errorf("bare: x-forwarded-proto: got %q: lamplighter may not believe it", got)
	}
}

func TestShippedRefusesAMalformedAnswer(t *testing.T) {
	t.Parallel()
	for name, response := range map[string]*authv3.CheckResponse{
		"line break in an injected header": ok([][2]string{{"x-user-id", "a\r\nx-role: admin"}}),
		"line break in a denied header":    denied(http.StatusFound, "", [2]string{"location", "/\r\nset-cookie: a=1"}),
		"host set":                         ok([][2]string{{"host", "other.example"}}),
		"x-envoy set":                      ok([][2]string{{"x-envoy-original-path", "/other"}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, envoytest.Shipped, always(response))
			got := g.get(t, false, "/")
			if got.status != http.StatusInternalServerError || got.header.Get("Set-Cookie") != "" || g.app.Requests() != 0 {
				t.Errorf("got status %d, %d requests to the app", got.status, g.app.Requests())
			}
			g.awaitStat(t, "http.web.ext_authz.invalid", 1)
		})
	}
}

func TestADenialIsNotCountedAsAnAnswerOfTheApp(t *testing.T) {
	t.Parallel()
	// Bare shows that the counter looked at is the one that would count.
	for bootstrap, charged := range map[string]bool{envoytest.Shipped: false, envoytest.Bare: true} {
		t.Run(bootstrap, func(t *testing.T) {
			t.Parallel()
			g := start(t, bootstrap, always(denied(http.StatusUnauthorized, "")))
			g.get(t, false, "/")
			g.awaitStat(t, "http.web.ext_authz.denied", 1)
			got, _ := g.Stats("cluster.app.upstream_rq_401")
			if (got == 1) != charged {
				t.Errorf("cluster.app.upstream_rq_401: got %d", got)
			}
		})
	}
}

// Envoy tells the smaller of the timeout and the timeout of each try, and cuts
// the Check off after that.
func TestCheckHasFiveSeconds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, bootstrap string, http2 bool) {
		g := start(t, bootstrap, always(ok(nil)))
		g.get(t, http2, "/")
		if got := g.stub.metadata("x-envoy-expected-rq-timeout-ms"); !slices.Equal(got, []string{"5000"}) {
			t.Errorf("got timeout %q ms", got)
		}
	})
}

func TestMoreChecksThanTheDefaultBreakerLets(t *testing.T) {
	t.Parallel()
	const parallel = 1100 // the default is 1024
	// Every Check waits until all are in hand; one answer before that is Envoy's own.
	var waiting atomic.Int32
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	patient := func(bootstrap map[string]any) error {
		filter, err := envoytest.Lookup(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0,
			"typed_config", "http_filters", 0, "typed_config", "grpc_service")
		if err != nil {
			return err
		}
		filter["timeout"] = "60s" // not what is tested, and the machine may be busy
		retry, err := envoytest.Lookup(filter, "retry_policy", "retry_back_off")
		if err != nil {
			return err
		}
		retry["max_interval"] = "60s"
		return nil
	}
	g := setup{mutate: patient}.start(t, envoytest.Shipped, func(*authv3.CheckRequest) *authv3.CheckResponse {
		if waiting.Add(1) == parallel {
			open()
		}
		<-release
		return denied(http.StatusUnauthorized, "")
	})
	client := http2Transport(t)
	var clients sync.WaitGroup
	var refused atomic.Int32
	for range parallel {
		clients.Go(func() {
			response, err := client.RoundTrip(g.request(t, "/"))
			open()
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				refused.Add(1)
			}
		})
	}
	clients.Wait()
	if refused.Load() != 0 {
		t.Errorf("%d of %d requests were refused by Envoy", refused.Load(), parallel)
	}
}

func TestAWebSocketIsOneCheck(t *testing.T) {
	t.Parallel()
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, stream, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Bearer: %s\r\n\r\n", r.Header.Get("Authorization"))
		_, _ = io.Copy(conn, stream)
	})
	g := setup{app: app}.start(t, envoytest.Shipped, always(ok([][2]string{{"authorization", "Bearer fresh"}})))
	conn, err := net.Dial("tcp", g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: app.example\r\n%s\r\n\r\n", strings.Join(upgrade, "\r\n"))
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-Bearer") != "Bearer fresh" {
		t.Fatalf("got %s, bearer %q", response.Status, response.Header.Get("X-Bearer"))
	}
	for _, frame := range []string{"ping\n", "pong\n"} {
		fmt.Fprint(conn, frame)
		if got, err := reader.ReadString('\n'); got != frame {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if checks := g.stub.checks(); len(checks) != 1 || !slices.Equal(lines(checks[0], "upgrade"), []string{"websocket"}) {
		t.Errorf("got %d checks", len(checks))
	}

	refusing := start(t, envoytest.Shipped, always(denied(http.StatusUnauthorized, "sign in")))
	if got := refusing.raw(t, "/socket", upgrade...); got.status != http.StatusUnauthorized || got.body != "sign in" {
		t.Errorf("denied: got status %d, body %q", got.status, got.body)
	}
}
