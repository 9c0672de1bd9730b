package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/envoytest"
)

const (
	defaultPort = "8080"
	readyWithin = time.Minute // Envoy may have to be fetched first
	stopWithin  = 10 * time.Second
)

// run starts all parts, tells when they answer, and stops them when ctx is done
// or when one of them ends by itself. life is that of access tokens.
func run(ctx context.Context, port string, life time.Duration, out io.Writer) error {
	d := &demo{out: out, port: port, life: life}
	if d.port == "" {
		d.port = defaultPort
	}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting
		}
		return err
	}
	d.say("ready: http://localhost:%s/", d.port)
	d.say("provider: %s", d.issuer)
	d.say("access tokens live %v: log in with any name, then watch them being refreshed. Ctrl-C stops everything.", life)
	select {
	case <-ctx.Done():
		return nil
	case name := <-d.ended:
		return fmt.Errorf("%s ended by itself; its last lines are above", name)
	}
}

type demo struct {
	out    io.Writer
	port   string
	life   time.Duration
	dir    string
	issuer string
	check  string

	mu    sync.Mutex // of out
	ended chan string
	undo  []func()
}

func (d *demo) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, format+"\n", args...)
}

func (d *demo) stop() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
}

func (d *demo) start(ctx context.Context) error {
	if n, err := strconv.ParseUint(d.port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("DEMO_PORT is %q; make it a port number such as %s", d.port, defaultPort)
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	d.ended = make(chan string, 8)
	for _, step := range []func(context.Context) error{d.portFree, d.files, d.provider, d.lamplighter, d.envoy, d.answers} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) listenAddr() string { return net.JoinHostPort("127.0.0.1", d.port) }

func (d *demo) portFree(context.Context) error {
	l, err := net.Listen("tcp", d.listenAddr())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s is taken by another process; stop it, or choose another port: DEMO_PORT=8090 make demo", d.port)
	}
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", d.port, err)
	}
	return l.Close()
}

// files makes the folder that everything lives in, with fresh secrets.
func (d *demo) files(context.Context) error {
	dir, err := os.MkdirTemp("", "lamplighter-demo-")
	if err != nil {
		return err
	}
	d.dir = dir
	d.undo = append(d.undo, func() { _ = os.RemoveAll(dir) })
	d.check = "unix://" + filepath.Join(dir, "check.sock")
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return errors.Join(
		os.WriteFile(d.file("client-secret"), []byte(rand.Text()), 0o600),
		os.WriteFile(d.file("keys"), []byte("demo:"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600),
	)
}

func (d *demo) file(name string) string { return filepath.Join(d.dir, name) }

// program starts a binary of bin/ and hands each line of its log to read.
func (d *demo) program(name string, read func(entry), args ...string) error {
	r, w := io.Pipe()
	cmd := exec.Command(filepath.Join("bin", name), args...)
	cmd.Stderr = w
	p, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w; make demo builds it", name, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { d.follow(r, name, read) })
	go func() {
		_ = p.Wait()
		_ = w.Close()
		d.ended <- name
	}()
	d.undo = append(d.undo, func() {
		_ = p.Stop(stopWithin)
		reading.Wait()
	})
	return nil
}

func (d *demo) provider(ctx context.Context) error {
	issuer := make(chan string, 1)
	err := d.program("devop", func(e entry) { d.tellProvider(e, issuer) },
		"--listen", "127.0.0.1:0", "--client-secret-file", d.file("client-secret"), "--access-token-life", d.life.String(),
		"--redirect-uri", "http://localhost:"+d.port+"/auth/callback",
		"--post-logout-redirect-uri", "http://localhost:"+d.port+"/")
	if err != nil {
		return err
	}
	d.issuer, err = d.await(ctx, issuer, "the provider")
	return err
}

// await is what a program tells once it has started.
func (d *demo) await(ctx context.Context, told <-chan string, who string) (string, error) {
	select {
	case s := <-told:
		return s, nil
	case name := <-d.ended:
		return "", fmt.Errorf("%s did not start; its last lines are above", name)
	case <-ctx.Done():
		return "", fmt.Errorf("wait for %s: %w", who, ctx.Err())
	}
}

const configFile = `# written by make demo
listen: {check: %q, admin: "127.0.0.1:0"}
external_url: http://localhost:%s
provider: {issuer: %q, client_id: lamplighter, client_secret_file: %q, scopes: [openid, offline_access, profile, email]}
session: {keys_file: %q}
store: {bolt: {path: %q}}
headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name}
log: {level: debug}
`

func (d *demo) lamplighter(ctx context.Context) error {
	cfg := fmt.Sprintf(configFile, d.check, d.port, d.issuer, d.file("client-secret"), d.file("keys"), d.file("sessions.db"))
	if err := os.WriteFile(d.file("lamplighter.yaml"), []byte(cfg), 0o600); err != nil {
		return err
	}
	listening := make(chan string, 1)
	err := d.program("lamplighter", func(e entry) { d.tellLamplighter(e, listening) }, "serve", "--config", d.file("lamplighter.yaml"))
	if err != nil {
		return err
	}
	_, err = d.await(ctx, listening, "lamplighter")
	return err
}

// envoy also starts the app behind it.
func (d *demo) envoy(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	app := &http.Server{Handler: new(echo.API), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = app.Serve(l) }() // ends with Close
	d.undo = append(d.undo, func() { _ = app.Close() })
	e, err := envoytest.Start(ctx, envoytest.Options{
		Bootstrap: envoytest.Shipped, AuthzAddress: d.check, AppAddress: l.Addr().String(), Listen: d.listenAddr(),
	})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, func() { _ = e.Stop() })
	go func() { <-e.Done(); d.ended <- "envoy" }()
	return nil
}

// answers waits until the whole way answers: a navigation is sent to log in.
func (d *demo) answers(ctx context.Context) error {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:"+d.port+"/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "text/html")
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusFound {
				return nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for http://localhost:%s/ to answer: %w", d.port, ctx.Err())
		}
	}
}
