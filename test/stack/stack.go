package stack

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/op"
)

// Options of Start; the zero value is the product as shipped, with access
// tokens of 60 s.
type Options struct {
	AccessTokenLife time.Duration
	// Config is merged over the generated config file, key by key in YAML:
	// "refresh: {on_due: wait}". A top-level key replaces the generated one.
	Config string
	// Check is where lamplighter listens, and Envoy asks; empty: a socket.
	Check string
	// Bootstrap is, when empty, what STACK_BOOTSTRAP in the environment names, else
	// envoytest.Shipped.
	Bootstrap string
	// Mutate changes the bootstrap, as in envoytest.Options.
	Mutate func(bootstrap map[string]any) error
	// Env is added to lamplighter's environment, as in os.Environ.
	Env []string
	// Plain runs a binary without the race detector, whatever the test has: the one
	// that is shipped.
	Plain bool
	// Provider changes how the provider is made. It may be nil.
	Provider func(*op.Options)
	// Spy, if set, notes every token that the provider gives out.
	Spy *Spy
	// CrashPoints runs a plain binary that can be killed inside its store; see
	// pkg/app/crash.go.
	CrashPoints bool
	// Sessions is how many are in the store when lamplighter first opens it.
	Sessions int
	// Listen, if set, wraps what the OP listens on.
	Listen func(net.Listener) net.Listener
	// Foreign starts another OpenID Provider than that of test/op, where the app at
	// url, an origin, is registered. It returns the issuer, and what the config has
	// to say of it: "profile: keycloak". Stack.OP is nil then.
	Foreign func(t testing.TB, url string) (issuer, config string)
}

// Stack is one running product.
type Stack struct {
	Dir         string
	OP          *op.Provider // nil with Options.Provider
	Issuer      string
	App         *echo.API
	Envoy       *envoytest.Envoy
	Lamplighter *Lamplighter
	// URL is the app's origin as the browser sees it, without a slash at the end.
	URL string
	// Sessions are those of Options.Sessions.
	Sessions []Session

	opts   Options
	app    string           // address
	server *httptest.Server // of the provider; nil while it is away
	// providerConfig is what the config says of the provider, beside its issuer.
	providerConfig string
}

// Client registered at the OP.
const (
	ClientID     = "lamplighter"
	ClientSecret = "secret-canary-client"
)

// Start runs everything and returns when lamplighter is ready.
func Start(t testing.TB, o Options) *Stack {
	t.Helper()
	app := httptest.NewServer(new(echo.API))
	t.Cleanup(app.Close)
	s := &Stack{Dir: dir(t), App: app.Config.Handler.(*echo.API), app: app.Listener.Addr().String()}
	if o.Bootstrap == "" {
		o.Bootstrap = cmp.Or(os.Getenv("STACK_BOOTSTRAP"), envoytest.Shipped)
	}
	s.opts = o
	s.startEnvoy(t, "")
	_, port, _ := strings.Cut(s.Envoy.Addr(), ":")
	s.URL = "http://localhost:" + port
	s.prepare(t, o)
	s.Lamplighter.Start()
	return s
}

func (s *Stack) startEnvoy(t testing.TB, listen string) {
	t.Helper()
	s.Envoy = envoytest.Run(t, envoytest.Options{
		Bootstrap: s.opts.Bootstrap, AuthzAddress: s.CheckAddress(), AppAddress: s.app, Listen: listen, Mutate: s.opts.Mutate,
	})
}

// RestartEnvoy ends Envoy and starts another on the same port.
func (s *Stack) RestartEnvoy(t testing.TB) {
	t.Helper()
	listen := s.Envoy.Addr()
	if err := s.Envoy.Stop(); err != nil {
		t.Errorf("stop envoy: %v", err)
	}
	s.startEnvoy(t, listen)
}

// Prepare is Start without Envoy and app, and with lamplighter not started: for
// tests of how it starts and ends.
func Prepare(t testing.TB, o Options) *Stack {
	t.Helper()
	s := &Stack{Dir: dir(t), URL: "http://localhost:8080"}
	s.prepare(t, o)
	return s
}

func (s *Stack) prepare(t testing.TB, o Options) {
	t.Helper()
	s.opts = o
	if o.Foreign != nil {
		s.Issuer, s.providerConfig = o.Foreign(t, s.URL)
	} else {
		s.startOP(t)
	}
	s.Lamplighter = s.NewLamplighter(t, s.WriteConfig(t, o.Config), o.Env)
	s.Lamplighter.binary = binaryOf(o)
	if o.Sessions > 0 {
		s.fill(t, o.Sessions)
	}
}

// CheckAddress is where Envoy asks.
func (s *Stack) CheckAddress() string { return cmp.Or(s.opts.Check, "unix://"+s.File("check.sock")) }

// File is a path in the stack's folder.
func (s *Stack) File(name string) string { return filepath.Join(s.Dir, name) }

// FreePort is a port of 127.0.0.1 that was free a moment ago. It is below those that a
// system gives to whoever asks for any, on Linux from 32768 on: they would be taken at once.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + mathrand.IntN(22_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// dir is short: a socket path has a limit of 108 bytes, which t.TempDir exceeds.
func dir(t testing.TB) string {
	t.Helper()
	d, err := os.MkdirTemp("", "lamp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d) })
	return d
}

// Reconfigure is for the next start, and for replicas: config, in place of
// Options.Config.
func (s *Stack) Reconfigure(t testing.TB, config string) {
	t.Helper()
	s.opts.Config = config
	s.WriteConfig(t, config)
}

// WriteConfig writes the generated config file, with the top-level keys of over
// in place of its own, and returns its path.
func (s *Stack) WriteConfig(t testing.TB, over string) string {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	keys := s.File("keys")
	if _, err := os.Stat(keys); err != nil {
		s.write(t, "keys", "k1:"+base64.StdEncoding.EncodeToString(key)+"\n")
	}
	s.write(t, "client-secret", ClientSecret)
	lines := []string{
		fmt.Sprintf("listen: {check: %q, admin: \"127.0.0.1:0\"}", s.CheckAddress()),
		"external_url: " + s.URL,
		fmt.Sprintf("provider: {issuer: %q, client_id: %s, client_secret_file: %q, %s}", s.Issuer, ClientID, s.File("client-secret"), s.providerConfig),
		fmt.Sprintf("session: {keys_file: %q}", keys),
		fmt.Sprintf("store: {bolt: {path: %q}}", s.File("sessions.db")),
		"headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name, auth_time: X-Auth-Time, session_id: X-Session-ID}",
		"log: {level: debug}",
	}
	var b strings.Builder
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		if !strings.HasPrefix(over, name+":") && !strings.Contains(over, "\n"+name+":") {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString(over + "\n")
	return s.write(t, "lamplighter.yaml", b.String())
}

func (s *Stack) write(t testing.TB, name, content string) string {
	t.Helper()
	path := s.File(name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
