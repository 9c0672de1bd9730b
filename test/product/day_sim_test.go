package product

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/lamplighter/lamplighter/pkg/app"
	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/echo"
	"github.com/lamplighter/lamplighter/test/stack"
)

// Pauses of a user: log-uniform, so that bursts of clicks and long readings both
// are common, and never long enough to be idle.
const (
	leastPause = time.Second
	mostPause  = 25 * time.Minute
)

// day is one product with many users, for a day or an hour.
type day struct {
	t      *testing.T
	op     *dayProvider
	app    *app.App
	store  *memstore.Store
	gate   *gateway
	counts dayCounts
	users  sync.WaitGroup
	swept  time.Duration // over all users, from login to end
}

// dayCounts is what the users met.
type dayCounts struct {
	requests atomic.Int64
	expired  atomic.Int64 // came when the stored token was past its expiry
	waited   atomic.Int64 // were held for a refresh
	denied   atomic.Int64 // got 503
	lost     atomic.Int64 // got anything else but the app
	stale    atomic.Int64 // left with a token that the provider refuses
}

// newDay starts a product over p, inside a bubble.
func newDay(t *testing.T, dir string, p *dayProvider, more string) *day {
	d := &day{t: t, op: p, store: memstore.New()}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg, err := config.Parse(fmt.Appendf(nil, `
listen: {check: "127.0.0.1:0", admin: "127.0.0.1:0"}
external_url: %s
provider: {issuer: %q, client_id: lamplighter, client_secret_file: %q}
session: {keys_file: %q, absolute: 25h}
store: {memory: {}}
%s
`, appURL, issuer, file("client-secret", secret), file("keys", "k1:"+base64.StdEncoding.EncodeToString(key)), more), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.app, err = app.New(cfg, app.Options{Transport: p, Store: d.store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d.app.Start()
	d.gate = &gateway{authz: d.app.CheckServer(), app: new(echo.API), op: p, host: strings.TrimPrefix(appURL, "http://")}
	for d.app.Ready() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	return d
}

// run logs users in, one after another, and lets each use the app until end.
func (d *day) run(users int, length time.Duration, seed uint64) {
	end := time.Now().Add(length)
	for n := range users {
		b := stack.NewBrowser(d.t, appURL, d.gate)
		if a := b.Visit("/"); a.Status != http.StatusOK {
			d.t.Fatalf("login of user %d: %v", n, a)
		}
		u, err := newDayUser(b)
		if err != nil {
			d.t.Fatal(err)
		}
		rng := mathrand.New(mathrand.NewPCG(seed, uint64(n)))
		d.swept += time.Until(end)
		d.users.Go(func() { d.live(u, rng, end) })
	}
	d.users.Wait()
}

// dayUser makes the same request again and again.
type dayUser struct {
	id      session.ID
	request *authv3.CheckRequest
}

func newDayUser(b *stack.Browser) (dayUser, error) {
	cookie := b.Cookie("__Host-bff_session")
	h, err := session.ParseHandle(cookie)
	if err != nil {
		return dayUser{}, fmt.Errorf("read session cookie: %w", err)
	}
	r := b.Request(http.MethodGet, "/", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", "Accept: application/json", "Cookie: __Host-bff_session="+cookie)
	return dayUser{id: h.ID(), request: checkRequest(r)}, nil
}

func (d *day) live(u dayUser, rng *mathrand.Rand, end time.Time) {
	span := math.Log(float64(mostPause) / float64(leastPause))
	for {
		pause := time.Duration(float64(leastPause) * math.Exp(span*rng.Float64()))
		if time.Until(end) <= pause {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(pause)
		d.fetch(u)
	}
}

// fetch is one request of a user, and what came of it.
func (d *day) fetch(u dayUser) {
	d.counts.requests.Add(1)
	now := time.Now()
	if r, err := d.store.Get(context.Background(), u.id); err == nil && !now.Before(r.Session.Token.Exp()) {
		d.counts.expired.Add(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	answer, err := d.gate.authz.Check(ctx, u.request)
	if time.Since(now) > 0 {
		d.counts.waited.Add(1)
	}
	switch {
	case err == nil && answer.GetStatus().GetCode() == 0:
		if !d.op.accepts(bearerOf(answer)) {
			d.counts.stale.Add(1)
		}
	case err == nil && answer.GetDeniedResponse().GetStatus().GetCode() == http.StatusServiceUnavailable:
		d.counts.denied.Add(1)
	default:
		d.counts.lost.Add(1)
	}
}

// bearerOf is the access token with which a request leaves Envoy.
func bearerOf(answer *authv3.CheckResponse) string {
	for _, h := range answer.GetOkResponse().GetHeaders() {
		if h.GetHeader().GetKey() == "authorization" {
			token, _ := strings.CutPrefix(h.GetHeader().GetValue()+string(h.GetHeader().GetRawValue()), "Bearer ")
			return token
		}
	}
	return ""
}
