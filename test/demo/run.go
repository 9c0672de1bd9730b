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
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	defaultPort = "8080"
	readyWithin = time.Minute // Envoy may have to be fetched first
	stopWithin  = 10 * time.Second
)

// run starts all parts, tells when they answer, and stops them when ctx is done
// or when one of them ends by itself. life is that of access tokens; replicas
// are over one Redis, if there is more than one.
func run(ctx context.Context, port string, replicas int, life time.Duration, out io.Writer) error {
	d := &demo{out: out, port: port, replicas: replicas, life: life}
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
	if replicas > 1 {
		d.say("%d replicas over one Redis answer in turn; the header %s tells which it was", replicas, servedBy)
	}
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
	out      io.Writer
	port     string
	replicas int
	life     time.Duration
	dir      string
	issuer   string
	store    string   // what the config says of it
	entries  []string // addresses of the replicas' Envoys

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
	for _, step := range []func(context.Context) error{d.portFree, d.files, d.provider, d.redis, d.lamplighters, d.envoys, d.front, d.answers} {
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
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return errors.Join(
		os.WriteFile(d.file("client-secret"), []byte(rand.Text()), 0o600),
		os.WriteFile(d.file("keys"), []byte("demo:"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600),
	)
}

func (d *demo) file(name string) string { return filepath.Join(d.dir, name) }

// answers waits until the whole way answers: a navigation is sent to log in.
func (d *demo) answers(ctx context.Context) error {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d.until(ctx, "http://localhost:"+d.port+"/", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:"+d.port+"/", nil)
		if err != nil {
			return false
		}
		req.Header.Set("Accept", "text/html")
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusFound
	})
}

// until waits for who to answer.
func (d *demo) until(ctx context.Context, who string, ok func() bool) error {
	for !ok() {
		select {
		case <-time.After(100 * time.Millisecond):
		case name := <-d.ended:
			return fmt.Errorf("wait for %s to answer: %s has ended", who, name)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to answer: %w", who, ctx.Err())
		}
	}
	return nil
}
