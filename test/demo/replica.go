package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/envoytest"
)

// servedBy tells a browser's developer tools which replica it was.
const servedBy = "X-Demo-Replica"

// redis starts the store that replicas share; one alone has a file.
func (d *demo) redis(ctx context.Context) error {
	if d.replicas == 1 {
		d.store = fmt.Sprintf("{bolt: {path: %q}}", d.file("sessions.db"))
		return nil
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("redis-server", "--bind", host, "--port", port, "--dir", d.dir, "--save", "", "--logfile", d.file("redis.log"))
	if err := d.process(cmd, "redis-server", func() {}); err != nil {
		return fmt.Errorf("%w; install it (Debian: apt-get install redis-server), or put one on PATH", err)
	}
	d.store = fmt.Sprintf("{redis: {addresses: [%q]}}", address)
	return d.until(ctx, "redis-server", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// freeAddress is one that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

const configFile = `# written by make demo
listen: {check: %q, admin: "127.0.0.1:0"}
external_url: http://localhost:%s
provider: {issuer: %q, client_id: lamplighter, client_secret_file: %q, scopes: [openid, offline_access, profile, email]}
session: {keys_file: %q}
store: %s
headers: {user_id: X-User-ID, email: X-User-Email, name: X-User-Name}
log: {level: debug}
`

func (d *demo) check(i int) string { return "unix://" + d.file("check."+strconv.Itoa(i)) }

func (d *demo) lamplighters(ctx context.Context) error {
	for i := range d.replicas {
		cfg := fmt.Sprintf(configFile, d.check(i), d.port, d.issuer, d.file("client-secret"), d.file("keys"), d.store)
		path := d.file("lamplighter." + strconv.Itoa(i) + ".yaml")
		if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
			return err
		}
		listening := make(chan string, 1)
		err := d.program("lamplighter", func(e entry) { d.tellLamplighter(e, d.place(i), listening) }, "serve", "--config", path)
		if err != nil {
			return err
		}
		if _, err := d.await(ctx, listening, "lamplighter"); err != nil {
			return err
		}
	}
	return nil
}

// place is how lines name a replica; empty for one alone.
func (d *demo) place(i int) string {
	if d.replicas == 1 {
		return ""
	}
	return fmt.Sprintf(" at replica %d", i+1)
}

// envoys also starts the app behind them.
func (d *demo) envoys(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.serve(l, new(echo.API))
	for i := range d.replicas {
		listen := d.listenAddr()
		if d.replicas > 1 {
			if listen, err = freeAddress(); err != nil {
				return err
			}
		}
		e, err := envoytest.Start(ctx, envoytest.Options{
			Bootstrap: envoytest.Shipped, AuthzAddress: d.check(i), AppAddress: l.Addr().String(), Listen: listen,
		})
		if err != nil {
			return err
		}
		d.undo = append(d.undo, func() { _ = e.Stop() })
		d.entries = append(d.entries, listen)
		go func() { <-e.Done(); d.ended <- "envoy" }()
	}
	return nil
}

func (d *demo) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }() // ends with Close
	d.undo = append(d.undo, func() { _ = s.Close() })
}

// front gives requests to the replicas in turn, as a balancer does that knows
// nothing of sessions.
func (d *demo) front(context.Context) error {
	if d.replicas == 1 {
		return nil
	}
	l, err := net.Listen("tcp", d.listenAddr())
	if err != nil {
		return err
	}
	var turn atomic.Uint64
	d.serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(turn.Add(1) % uint64(d.replicas))
		w.Header().Set(servedBy, strconv.Itoa(i+1))
		to := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: d.entries[i]})
			p.Out.Host = p.In.Host
		}}
		to.ServeHTTP(w, r)
	}))
	return nil
}
