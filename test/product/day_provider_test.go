package product

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/lamplighter/lamplighter/test/pause"
)

// Latency of the day's provider: log-normal, so that 1 answer in 100 takes over
// 1.4 s and 1 in 10,000 over 2.8 s. None takes longer than the shortest-lived
// token of TestADay is due, 3.3 s: no refresh in time could hide that.
const (
	meanLatency  = 500 * time.Millisecond
	latencySigma = 0.5
	mostLatency  = 3 * time.Second
)

// dayProvider is an OpenID Provider for millions of refreshes: it rotates
// strictly, ends a family on reuse, and keeps a few numbers a family instead of
// a ledger of requests. The user is whoever asks, without a login page. What it
// draws depends on the seed, the family and the number of its request alone, so
// that no order of goroutines changes it.
type dayProvider struct {
	life   time.Duration
	faults float64 // part of the refresh requests that is answered 503 before anything is spent
	seed   uint64
	basic  string // Authorization header of the client
	key    *ecdsa.PrivateKey
	signer jose.Signer

	mu       sync.Mutex
	families []*dayFamily
}

// dayFamily is the tokens of one login. A refresh token is "family.generation".
type dayFamily struct {
	nonce      string
	redeemed   bool   // its code
	generation int    // of the refresh token that may be used
	requests   uint64 // with any of them
	failed     int    // of those, answered 503
	reused     int    // of those, with a spent one
	late       int    // access tokens that expired before their successor came
	expires    time.Time
	revoked    bool
}

func newDayProvider(life time.Duration, faults float64, seed uint64) (*dayProvider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		return nil, err
	}
	return &dayProvider{
		life: life, faults: faults, seed: seed, key: key, signer: signer,
		basic: "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape("lamplighter")+":"+url.QueryEscape(secret))),
	}, nil
}

// RoundTrip implements http.RoundTripper.
func (p *dayProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		return p.answer(r, http.StatusOK, map[string]any{
			"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	case "/keys":
		return p.answer(r, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	case "/authorize":
		return p.authorize(r)
	case "/token":
		return p.token(r)
	default:
		return p.answer(r, http.StatusNotFound, nil)
	}
}

func (p *dayProvider) answer(r *http.Request, status int, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return p.respond(r, status, string(text)), nil
}

func (p *dayProvider) respond(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// authorize begins a family; its number is the code.
func (p *dayProvider) authorize(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	p.mu.Lock()
	code := len(p.families)
	p.families = append(p.families, &dayFamily{nonce: q.Get("nonce")})
	p.mu.Unlock()
	resp := p.respond(r, http.StatusFound, "")
	resp.Header.Set("Location", q.Get("redirect_uri")+"?"+url.Values{"code": {strconv.Itoa(code)}, "state": {q.Get("state")}}.Encode())
	return resp, nil
}

func (p *dayProvider) token(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Authorization") != p.basic {
		return p.respond(r, http.StatusUnauthorized, `{"error":"invalid_client"}`), nil
	}
	refreshing := form.Get("grant_type") == "refresh_token"
	presented := form.Get("code")
	if refreshing {
		presented = form.Get("refresh_token")
	}
	number, generation, _ := strings.Cut(presented, ".")
	f, draw := p.begin(number, refreshing)
	if f == nil {
		return p.respond(r, http.StatusBadRequest, `{"error":"invalid_grant"}`), nil
	}
	if !pause.For(r.Context(), draw.latency) {
		return nil, context.Cause(r.Context())
	}
	switch {
	case !refreshing:
		return p.redeem(r, f, number)
	case draw.fails:
		return p.respond(r, http.StatusServiceUnavailable, `down`), nil
	default:
		return p.refresh(r, f, number, generation)
	}
}

// draw is what the seed has in store for one request.
type draw struct {
	latency time.Duration
	fails   bool
}

// begin counts a request to a family and draws what will come of it.
func (p *dayProvider) begin(number string, refreshing bool) (*dayFamily, draw) {
	i, err := strconv.Atoi(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || i < 0 || i >= len(p.families) {
		return nil, draw{}
	}
	f := p.families[i]
	rng := mathrand.New(mathrand.NewPCG(p.seed+uint64(i), f.requests))
	var d draw
	mu := math.Log(meanLatency.Seconds()) - latencySigma*latencySigma/2
	d.latency = min(mostLatency, time.Duration(math.Exp(mu+latencySigma*rng.NormFloat64())*float64(time.Second)))
	d.fails = refreshing && rng.Float64() < p.faults
	if refreshing {
		f.requests++
		if d.fails {
			f.failed++
		}
	}
	return f, d
}

// redeem makes the first tokens of a family.
func (p *dayProvider) redeem(r *http.Request, f *dayFamily, number string) (*http.Response, error) {
	p.mu.Lock()
	again := f.redeemed
	f.redeemed = true
	f.expires = time.Now().Add(p.life)
	p.mu.Unlock()
	if again {
		return p.respond(r, http.StatusBadRequest, `{"error":"invalid_grant"}`), nil
	}
	now := time.Now()
	id, err := jwt.Signed(p.signer).Claims(map[string]any{
		"iss": issuer, "aud": "lamplighter", "sub": "user-" + number, "nonce": f.nonce, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		return nil, err
	}
	return p.respond(r, http.StatusOK, p.tokens(number, 0, `,"id_token":"`+id+`"`)), nil
}

// refresh spends a generation for the next one.
func (p *dayProvider) refresh(r *http.Request, f *dayFamily, number, generation string) (*http.Response, error) {
	presented, err := strconv.Atoi(generation)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && presented == f.generation && !f.revoked:
		f.generation++
		if time.Now().After(f.expires) {
			f.late++
		}
		f.expires = time.Now().Add(p.life)
		return p.respond(r, http.StatusOK, p.tokens(number, f.generation, "")), nil
	default:
		f.reused++
		f.revoked = true
		return p.respond(r, http.StatusBadRequest, `{"error":"invalid_grant"}`), nil
	}
}

// tokens is an answer. An access token is "family.generation.expiry", the expiry
// in nanoseconds.
func (p *dayProvider) tokens(number string, generation int, more string) string {
	return fmt.Sprintf(`{"access_token":"%s.%d.%d","token_type":"Bearer","expires_in":%d,"refresh_token":"%s.%d"%s}`,
		number, generation, time.Now().Add(p.life).UnixNano(), int(p.life.Seconds()), number, generation, more)
}

// accepts tells whether an API of the provider takes this access token now.
func (p *dayProvider) accepts(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	i, err := strconv.Atoi(parts[0])
	ends, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || err2 != nil || time.Now().UnixNano() >= ends {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return i < len(p.families) && !p.families[i].revoked
}

// books is what the provider has seen, over all families.
func (p *dayProvider) books() (b dayBooks) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.families {
		b.families++
		b.consumed += f.generation
		b.requests += int(f.requests)
		b.failed += f.failed
		b.reused += f.reused
		b.late += f.late
		if f.revoked {
			b.revoked++
		}
	}
	return b
}

type dayBooks struct{ families, consumed, requests, failed, reused, late, revoked int }
