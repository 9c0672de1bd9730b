package product

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	appURL = "http://localhost:8080"
	issuer = "http://127.0.0.1:9400"
	secret = "secret-canary-client"
)

// world is one product, one provider and one app, in one bubble of fake time.
type world struct {
	t     *testing.T
	op    *op.Provider
	app   *app.App
	store *memstore.Store
	fault *faultstore.Store // the same, as the app sees it
	echo  *echo.API
	gate  *gateway
	log   *logbook.Book
	cfg   string
	dir   string // of the files that it names
	file  string // that it is in; empty: none
	line  line
	clock *clock // of lamplighter
}

type options struct {
	life     time.Duration // of access tokens
	config   string        // top-level keys over the usual ones
	followed bool          // the config is a file, which may change
	provider string        // keys of provider over the usual ones
}

// clock is lamplighter's own, which may be wrong by an offset.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// inFakeTime runs f in a bubble with a product that has started.
func inFakeTime(t *testing.T, o options, f func(*world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, o)
		w.start(memstore.NewAt(w.clock.now))
		defer func() { w.stop(); w.op.Close() }()
		f(w)
	})
}

func newWorld(t *testing.T, dir string, o options) *world {
	provider, err := op.New(op.Options{
		Issuer: issuer, AccessTokenLife: o.life,
		Clients: []op.Client{{
			ID: "lamplighter", Secret: secret,
			RedirectURIs: []string{appURL + "/auth/callback"}, PostLogoutRedirectURIs: []string{appURL + "/"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, line: line{to: provider.RoundTripper()}, op: provider, echo: new(echo.API), log: new(logbook.Book), clock: new(clock)}
	w.gate = &gateway{app: w.echo, op: provider.RoundTripper(), host: strings.TrimPrefix(appURL, "http://")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", w.log.String())
		}
	})
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w.cfg = fmt.Sprintf(`
listen: {check: "127.0.0.1:0", admin: "127.0.0.1:0"}
external_url: %s
provider: {issuer: %q, client_id: lamplighter, client_secret_file: %q, %s}
session: {keys_file: %q}
store: {memory: {}}
headers: {user_id: X-User-ID, session_id: X-Session-ID}
%s
`, appURL, issuer, file("client-secret", secret), cmp.Or(o.provider, "profile: generic"), file("keys", "k1:"+base64.StdEncoding.EncodeToString(key)), o.config)
	if o.followed {
		w.file = file("lamplighter.yaml", w.cfg)
	}
	return w
}

// start runs an app over s, and returns once it is ready.
func (w *world) start(s *memstore.Store) {
	w.t.Helper()
	cfg, err := config.Parse([]byte(w.cfg), nil)
	var source *app.Source
	if w.file != "" {
		source = app.NewSource(w.file, nil)
		cfg, err = source.Load()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.fault = s, faultstore.New(s)
	w.app, err = app.New(cfg, app.Options{
		Source: source, Transport: &w.line, Store: w.fault, Now: w.clock.now, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.app.Start()
	w.gate.authz = w.app.CheckServer() // browsers keep their way to the gateway
	for w.app.Ready() != nil {
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) stop() {
	w.t.Helper()
	if err := w.app.Stop(context.Background()); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

func (w *world) browser() *stack.Browser { return stack.NewBrowser(w.t, appURL, w.gate) }

// login opens a browser and logs it in.
func (w *world) login(user string) *stack.Browser {
	w.t.Helper()
	b := w.browser()
	b.Login("/", user).Bearer(w.t)
	return b
}

// refreshes counts the POSTs with a refresh token that the provider received.
func (w *world) refreshes() (n int) {
	for _, r := range w.op.Ledger().Received {
		if r.GrantType == "refresh_token" {
			n++
		}
	}
	return n
}
