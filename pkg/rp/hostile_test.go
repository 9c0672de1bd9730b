package rp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lamplighter/lamplighter/pkg/rp"
)

// hostile is an OP that says whatever a test wants it to. Tests set it up before
// the first request.
type hostile struct {
	t        testing.TB
	metadata map[string]any
	key      *ecdsa.PrivateKey
	kid      string
	nonce    string
	// token answers the token endpoint; tokenAnswer by default.
	token func(h *hostile, form url.Values) (int, string)
	// claims edits the ID Token, sign makes it; a nil result of claims leaves it out.
	claims func(map[string]any) map[string]any
	sign   func(h *hostile, claims map[string]any) string

	mu    sync.Mutex
	posts []*http.Request // with parsed forms
	keys  int             // fetches of the key set
}

func newHostile(t testing.TB) *hostile {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &hostile{
		t: t, key: key, kid: "k1",
		metadata: map[string]any{
			"issuer": issuer, "authorization_endpoint": issuer + "/authorize?tenant=1", "token_endpoint": issuer + "/token",
			"jwks_uri": issuer + "/keys", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		},
		token:  (*hostile).tokenAnswer,
		claims: func(c map[string]any) map[string]any { return c },
		sign:   (*hostile).signed,
	}
}

// world is a relying party of h, with a browser.
func (h *hostile) world(t testing.TB, change ...func(*rp.Options)) (*world, *browser) {
	o := options(t, h.transport())
	for _, c := range change {
		c(&o)
	}
	w := newWorld(t, o)
	return w, w.browser()
}

func (h *hostile) transport() http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec.Result(), nil
	})
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(h.metadata)
	case "/keys":
		h.mu.Lock()
		h.keys++
		h.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: h.key.Public(), KeyID: h.kid, Algorithm: "ES256", Use: "sig"}}})
	case "/token", "/revoke":
		_ = r.ParseForm()
		h.mu.Lock()
		h.posts = append(h.posts, r)
		h.mu.Unlock()
		status, body := h.token(h, r.PostForm)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *hostile) posted() []*http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*http.Request(nil), h.posts...)
}

func (h *hostile) fetches() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys
}

// login is a whole login, as far as the browser sees it.
func (h *hostile) login(b *browser, returnTo string) *http.Response {
	q := b.begin(returnTo).Query()
	h.nonce = q.Get("nonce")
	return b.get("/auth/callback?code=" + rand.Text() + "&state=" + q.Get("state"))
}

func (h *hostile) tokenAnswer(url.Values) (int, string) {
	answer := map[string]any{"access_token": "access-1", "token_type": "Bearer", "expires_in": 60, "refresh_token": "refresh-1"}
	if claims := h.claims(h.honest()); claims != nil {
		answer["id_token"] = h.sign(h, claims)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		h.t.Error(err)
	}
	return http.StatusOK, string(body)
}

// honest are the claims of a good ID Token.
func (h *hostile) honest() map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": issuer, "sub": "user-1", "aud": clientID, "exp": now + 300, "iat": now, "nonce": h.nonce}
}

// with is the honest claims with some changed; nil removes one.
func with(change map[string]any) func(map[string]any) map[string]any {
	return func(c map[string]any) map[string]any {
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
}

func (h *hostile) signed(claims map[string]any) string {
	return signWith(h.t, jose.ES256, jose.JSONWebKey{Key: h.key, KeyID: h.kid}, "", claims)
}

func signWith(t testing.TB, alg jose.SignatureAlgorithm, key any, typ jose.ContentType, claims map[string]any) string {
	o := &jose.SignerOptions{}
	if typ != "" {
		o = o.WithType(typ)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Error(err)
		return ""
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Error(err)
	}
	return raw
}
