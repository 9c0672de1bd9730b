package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/logbook"
	"github.com/lamplighter/lamplighter/test/stack"
)

// screen is what a person would see.
type screen struct{ logbook.Book }

// shows waits until the screen has a line that begins so.
func (s *screen) shows(t *testing.T, begin string) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !strings.Contains("\n"+s.String(), "\n"+begin); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the screen shows no line %q…:\n%s", begin, s)
		}
	}
}

// inCheckout goes to the root of the checkout and builds what the demo starts.
func inCheckout(t *testing.T) {
	t.Helper()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	if out, err := exec.Command("go", "build", "-o", "bin/", "./cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := stack.DependOn("."); err != nil {
		t.Fatal(err)
	}
}

// started is a demo that is ready, on port; ctrlC ends it, and returns how.
func started(t *testing.T, replicas int) (seen *screen, port string, ctrlC func() error) {
	t.Helper()
	inCheckout(t)
	port, seen = stack.FreePort(t), new(screen)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, port, replicas, 10*time.Second, seen) }()
	ctrlC = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = ctrlC() })
	seen.shows(t, "ready: http://localhost:"+port+"/")
	return seen, port, ctrlC
}

func TestDemo(t *testing.T) {
	seen, port, ctrlC := started(t, 1)
	seen.shows(t, "provider: http://127.0.0.1:")
	b := stack.NewBrowser(t, "http://localhost:"+port, http.DefaultTransport.(*http.Transport).Clone())
	app := b.Login("/hello?a=1", "ada").Echo(t)
	if app.Path != "/hello?a=1" || len(app.Headers["authorization"]) != 1 || len(app.Headers["x-user-email"]) != 1 {
		t.Errorf("the app got %+v, want the page asked for, a bearer and an e-mail address", app)
	}
	seen.shows(t, "login ")
	seen.shows(t, "session      ")
	seen.shows(t, "sweep ")
	seen.shows(t, "refresh ")
	seen.shows(t, "refreshed ")
	b.Post("/auth/logout")
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(seen.String(), "ends: logout"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the screen does not show the logout:\n%s", seen)
		}
	}
	if err := ctrlC(); err != nil {
		t.Errorf("Ctrl-C: %v, want a quiet end", err)
	}
	_, provider, _ := strings.Cut(seen.String(), "provider: http://")
	provider, _, _ = strings.Cut(provider, "\n")
	for _, address := range []string{"127.0.0.1:" + port, provider} {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Errorf("%s still answers after the end", address)
		}
	}
	for line := range strings.Lines(seen.String()) {
		if strings.Contains(line, "WARN") || strings.Contains(line, "ERROR") || strings.Contains(line, "DEBUG") {
			t.Errorf("not a line for people: %s", line)
		}
	}
}

// One browser, whose requests go to two replicas in turn.
func TestDemoOfReplicas(t *testing.T) {
	seen, port, ctrlC := started(t, 2)
	b := stack.NewBrowser(t, "http://localhost:"+port, http.DefaultTransport.(*http.Transport).Clone())
	token := b.Login("/", "ada").Bearer(t)
	served := map[string]bool{}
	for range 4 {
		a := b.Fetch("/")
		if a.Bearer(t) != token {
			t.Error("another token at another replica")
		}
		served[a.Header.Get(servedBy)] = true
	}
	if !served["1"] || !served["2"] || len(served) != 2 {
		t.Errorf("served by %v, want both replicas", served)
	}
	seen.shows(t, "refreshed ")
	if err := ctrlC(); err != nil {
		t.Errorf("Ctrl-C: %v, want a quiet end", err)
	}
}

func TestDemoPortErrors(t *testing.T) {
	inCheckout(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	for port, want := range map[string]string{
		taken: "port " + taken + " is taken by another process", "http": "make it a port number", "70000": "make it a port number", "0": "make it a port number",
	} {
		if err := run(t.Context(), port, 1, time.Minute, new(screen)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("DEMO_PORT=%s: %v, want %q", port, err, want)
		}
	}
}
