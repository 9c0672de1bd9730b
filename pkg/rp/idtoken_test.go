package rp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
)

func TestIDTokenAtLogin(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("access-1"))
	atHash := base64.RawURLEncoding.EncodeToString(sum[:16])
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	claims := func(c map[string]any) func(*hostile) { return func(h *hostile) { h.claims = with(c) } }
	sign := func(f func(*hostile, map[string]any) string) func(*hostile) { return func(h *hostile) { h.sign = f } }
	tests := []struct {
		name   string
		change func(*hostile)
		ok     bool
	}{
		{"honest", func(*hostile) {}, true},
		{"aud is a list", claims(map[string]any{"aud": []string{clientID}}), true},
		{"azp is us", claims(map[string]any{"azp": clientID}), true},
		{"others may read it, azp is us", claims(map[string]any{"aud": []string{"api", clientID}, "azp": clientID}), true},
		{"at_hash", claims(map[string]any{"at_hash": atHash}), true},
		{"the OP's clock is ahead", claims(map[string]any{"iat": at(4 * time.Minute)}), true},
		{"the OP's clock is behind", claims(map[string]any{"iat": at(-4 * time.Minute)}), true},
		{"typ JWT", sign(func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: h.key, KeyID: h.kid}, "JWT", c)
		}), true},

		{"none", func(h *hostile) { h.claims = func(map[string]any) map[string]any { return nil } }, false},
		{"another iss", claims(map[string]any{"iss": "https://other.example"}), false},
		{"iss with a slash more", claims(map[string]any{"iss": issuer + "/"}), false},
		{"another aud", claims(map[string]any{"aud": "them"}), false},
		{"no aud", claims(map[string]any{"aud": nil}), false},
		{"others may read it, no azp", claims(map[string]any{"aud": []string{clientID, "them"}}), false},
		{"azp is another", claims(map[string]any{"azp": "them"}), false},
		{"no sub", claims(map[string]any{"sub": nil}), false},
		{"empty sub", claims(map[string]any{"sub": ""}), false},
		{"long sub", claims(map[string]any{"sub": strings.Repeat("x", 256)}), false},
		{"line end in sub", claims(map[string]any{"sub": "a\r\nX-Role: admin"}), false},
		{"expired", claims(map[string]any{"exp": at(-time.Minute)}), false},
		{"no exp", claims(map[string]any{"exp": nil}), false},
		{"not yet", claims(map[string]any{"nbf": at(10 * time.Minute)}), false},
		{"iat in the future", claims(map[string]any{"iat": at(6 * time.Minute)}), false},
		{"iat before the login", claims(map[string]any{"iat": at(-6 * time.Minute)}), false},
		{"no iat", claims(map[string]any{"iat": nil}), false},
		{"another nonce", claims(map[string]any{"nonce": "x"}), false},
		{"no nonce", claims(map[string]any{"nonce": nil}), false},
		{"at_hash of another token", claims(map[string]any{"at_hash": atHash[1:] + "A"}), false},
		{"not a JWT", sign(func(*hostile, map[string]any) string { return "x.y.z" }), false},
		{"another key", sign(func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: other, KeyID: h.kid}, "", c)
		}), false},
		{"signed with the client secret", sign(func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.HS256, append([]byte(clientSecret), make([]byte, 32)...), "", c)
		}), false},
		{"not signed", sign(func(h *hostile, c map[string]any) string {
			_, rest, _ := strings.Cut(h.signed(c), ".")
			payload, _, _ := strings.Cut(rest, ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
		}), false},
		{"changed after signing", sign(func(h *hostile, c map[string]any) string {
			head, rest, _ := strings.Cut(h.signed(c), ".")
			_, signature, _ := strings.Cut(rest, ".")
			c["sub"] = "admin"
			payload, err := json.Marshal(c)
			if err != nil {
				h.t.Error(err)
			}
			return head + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + signature
		}), false},
		{"an access token", sign(func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: h.key, KeyID: h.kid}, "at+jwt", c)
		}), false},
		{"a logout token", sign(func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: h.key, KeyID: h.kid}, "logout+jwt", c)
		}), false},
		{"an algorithm that discovery does not name", func(h *hostile) {
			h.metadata["id_token_signing_alg_values_supported"] = []string{"RS256"}
		}, false},
		{"no algorithm but those we never take", func(h *hostile) {
			h.metadata["id_token_signing_alg_values_supported"] = []string{"none", "HS256"}
		}, false},
		{"key set is no JSON", func(h *hostile) { h.metadata["jwks_uri"] = issuer + "/nothing" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			tt.change(h)
			w, b := h.world(t)
			resp := h.login(b, "/a")
			if tt.ok {
				if resp.StatusCode != http.StatusSeeOther || len(w.vault.sessions()) != 1 {
					t.Errorf("refused: %d, log %s", resp.StatusCode, w.log)
				}
				return
			}
			wantPage(t, resp, http.StatusServiceUnavailable, "/auth/login?return_to=%2Fa")
			if len(resp.Cookies()) != 0 || len(w.vault.sessions()) != 0 {
				t.Errorf("cookies %v, %d sessions", resp.Cookies(), len(w.vault.sessions()))
			}
			if !strings.Contains(w.log.String(), "login failed after the code exchange") {
				t.Errorf("the operator is not told: %s", w.log)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.claims = with(map[string]any{
		"email": "a@b\r\nc", "name": "Ada Lovelace é", "sid": "s-1", "auth_time": 1700000000.9,
		"groups": []any{"dev", "ops,admin", 7, true, nil, map[string]any{}, "x\ny", []string{"z"}, "end"}, "level": 3.50, "vip": false,
		"address": map[string]any{"country": "x"}, "none": nil, "evil": "a\x00b", "org": "a, b", "unasked": "x",
	})
	w, b := h.world(t, func(o *rp.Options) {
		o.Claims = []string{"groups", "level", "vip", "address", "none", "evil", "org", "missing"}
	})
	h.login(b, "/")
	got := w.vault.sessions()[0].Identity
	want := map[string]string{"groups": "dev,7,true,end", "level": "3.5", "vip": "false", "org": "a, b"}
	if !maps.Equal(got.Claims, want) || got.Email != "" || got.Name != "Ada Lovelace é" || got.SID != "s-1" || got.AuthTime.Unix() != 1700000000 {
		t.Errorf("identity %+v, want claims %v", got, want)
	}
	for _, odd := range []any{"soon", -1, 1e300, nil, []int{1}} {
		h := newHostile(t)
		h.claims = with(map[string]any{"auth_time": odd, "email": 5, "name": nil, "sid": []string{"x"}})
		w, b := h.world(t)
		h.login(b, "/")
		if got := w.vault.sessions()[0].Identity; !got.AuthTime.IsZero() || got.Email+got.Name+got.SID != "" {
			t.Errorf("auth_time %v: identity %+v", odd, got)
		}
	}
}

// refreshed logs in and refreshes with the ID Token that claims and sign make.
func refreshed(t *testing.T, h *hostile, change map[string]any, sign func(*hostile, map[string]any) string) (session.Answer, *world) {
	t.Helper()
	w, b := h.world(t)
	h.login(b, "/")
	h.claims, h.nonce = with(change), ""
	if sign != nil {
		h.sign = sign
	}
	return w.Refresh(t.Context(), w.vault.sessions()[0]), w
}

func TestIDTokenAtRefresh(t *testing.T) {
	t.Parallel()
	renewed, foreign := session.Renewed, session.Foreign
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	forged := func(h *hostile, c map[string]any) string {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			h.t.Error(err)
		}
		return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: key, KeyID: "k2"}, "", c)
	}
	for _, tt := range []struct {
		name   string
		change map[string]any
		sign   func(*hostile, map[string]any) string
		class  session.Class
		taken  bool // the claims are
	}{
		{"fresh, without nonce", map[string]any{"nonce": nil, "email": "new@example.com"}, nil, renewed, true},
		{"an old iat", map[string]any{"nonce": nil, "iat": at(-time.Hour)}, nil, renewed, true},
		{"another nonce", map[string]any{"nonce": "x"}, nil, renewed, true},
		{"expired", map[string]any{"exp": at(-time.Minute)}, nil, renewed, false},
		{"iat in the future", map[string]any{"iat": at(time.Hour)}, nil, renewed, false},
		{"no iat", map[string]any{"iat": nil}, nil, renewed, false},
		{"azp is another", map[string]any{"azp": "them"}, nil, renewed, false},
		{"at_hash of another token", map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, nil, renewed, false},
		{"signature that cannot be checked", nil, forged, renewed, false},
		{"garbage", nil, func(*hostile, map[string]any) string { return "garbage" }, renewed, false},
		{"another iss", map[string]any{"iss": "https://other.example"}, nil, foreign, false},
		{"another sub", map[string]any{"sub": "user-2"}, nil, foreign, false},
		{"another aud", map[string]any{"aud": []string{"them"}}, nil, foreign, false},
		{"another sub, signature that cannot be checked", map[string]any{"sub": "user-2"}, forged, foreign, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, w := refreshed(t, newHostile(t), tt.change, tt.sign)
			if a.Class != tt.class || !a.Sent || (a.Err == nil) != (tt.class == renewed) {
				t.Fatalf("answer %+v", a)
			}
			if taken := !a.Grant.ID.IsZero(); taken != tt.taken || taken && a.Grant.Identity.Subject != "user-1" {
				t.Errorf("claims taken: %v, %+v", taken, a.Grant.Identity)
			}
			if warned := strings.Contains(w.log.String(), "id_token of a refresh cannot be verified"); warned != (tt.class == renewed && !tt.taken) {
				t.Errorf("alarm: %v", warned)
			}
			if tt.class == renewed && (a.Grant.Access.Reveal() != "access-1" || a.Grant.Refresh.Reveal() != "refresh-1" || a.Grant.Lifetime != time.Minute) {
				t.Errorf("grant %+v", a.Grant)
			}
		})
	}
}

func TestRotatedSigningKeyIsFetched(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	w, b := h.world(t)
	h.login(b, "/")
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	h.kid = "k2"
	if resp := h.login(b, "/"); resp.StatusCode != http.StatusSeeOther || len(w.vault.sessions()) != 2 || h.fetches() != 2 {
		t.Errorf("%d, %d fetches", resp.StatusCode, h.fetches())
	}
}

// A fetch of the keys that hangs must not hang the ones after it.
func TestKeyFetchThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHostile(t)
		var hang atomic.Bool
		w, b := h.world(t, func(o *rp.Options) {
			real := o.Transport
			o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/keys" && hang.Load() {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return real.RoundTrip(r)
			})
		})
		hang.Store(true)
		wantPage(t, h.login(b, "/"), http.StatusServiceUnavailable)
		hang.Store(false)
		if resp := h.login(b, "/"); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("later: %d, log %s", resp.StatusCode, w.log)
		}
		s := w.vault.sessions()[0]
		hang.Store(true)
		h.kid, h.nonce = "k2", ""
		start := time.Now()
		if a := w.Refresh(t.Context(), s); a.Class != session.Renewed || !a.Grant.ID.IsZero() || time.Since(start) != 2*time.Second {
			t.Errorf("a refresh waits %v for keys: %+v", time.Since(start), a)
		}
		synctest.Wait()
		time.Sleep(10 * time.Second) // the fetch ends by itself
	})
}

func TestKeyFetchesAreThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHostile(t)
		w, b := h.world(t)
		h.login(b, "/")
		s := w.vault.sessions()[0]
		good := h.sign
		h.sign = func(h *hostile, c map[string]any) string {
			return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: h.key, KeyID: rand.Text()}, "", c)
		}
		for range 50 {
			if a := w.Refresh(t.Context(), s); a.Class != session.Renewed || !a.Grant.ID.IsZero() {
				t.Fatalf("answer %+v", a)
			}
		}
		if got := h.fetches(); got != 6 {
			t.Errorf("%d fetches of the key set within a minute", got)
		}
		h.sign = good // known keys still count
		if a := w.Refresh(t.Context(), s); a.Grant.ID.IsZero() {
			t.Errorf("a good token is refused: %+v", a)
		}
		time.Sleep(time.Minute)
		h.kid = "k9"
		if a := w.Refresh(t.Context(), s); a.Grant.ID.IsZero() {
			t.Errorf("a new key is not fetched later: %+v", a)
		}
	})
}
