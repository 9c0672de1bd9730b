package op

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// digest keys everything a caller presents, so that no token, code or cookie
// lies in memory after it was handed out.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// storage holds the provider's whole state behind one mutex: a snapshot of the
// ledger is consistent, and checking a token and consuming it is one step. The
// library calls its exported methods (zop.Storage).
type storage struct {
	clients map[string]registration
	key     signingKey
	log     func(Event)

	mu            sync.Mutex
	life          time.Duration
	omitExpiresIn bool
	issueRefresh  bool
	requests      map[string]*authRequest
	codes         map[digest]string  // to the id in requests
	browsers      map[digest]*signIn // by the browser's cookie
	families      []*family
	refreshes     map[digest]*refreshToken
	accesses      map[string]*accessToken
	book          book
	events        []Event // to log when mu is free
	sweepAt       time.Time
}

func newStorage(o Options) (*storage, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	s := &storage{
		clients:      map[string]registration{},
		key:          signingKey{id: rand.Text(), private: key},
		log:          o.Log,
		life:         DefaultAccessTokenLife,
		issueRefresh: !o.NoRefreshToken,
		requests:     map[string]*authRequest{},
		codes:        map[digest]string{},
		browsers:     map[digest]*signIn{},
		refreshes:    map[digest]*refreshToken{},
		accesses:     map[string]*accessToken{},
		book:         book{revokedBy: map[string]int{}},
	}
	if o.AccessTokenLife > 0 {
		s.life = wholeSeconds(o.AccessTokenLife)
	}
	for _, c := range o.Clients {
		s.clients[c.ID] = registration{client: c, issuer: o.Issuer}
	}
	return s, nil
}

// note queues an event. The caller holds mu.
func (s *storage) note(e Event) {
	e.Time = time.Now()
	s.events = append(s.events, e)
}

// unlock releases mu, then logs what was noted: the hook may call back.
func (s *storage) unlock() {
	events := s.events
	s.events = nil
	s.mu.Unlock()
	if s.log == nil {
		return
	}
	for _, e := range events {
		s.log(e)
	}
}

// sweep forgets, at most once a minute, what time has made useless. Refresh
// tokens stay for ever: a spent one must be recognised whenever it comes back.
// The caller holds mu.
func (s *storage) sweep(now time.Time) {
	if now.Before(s.sweepAt) {
		return
	}
	s.sweepAt = now.Add(time.Minute)
	maps.DeleteFunc(s.requests, func(_ string, r *authRequest) bool { return now.Sub(r.created) > authRequestLife })
	maps.DeleteFunc(s.codes, func(_ digest, id string) bool { return s.requests[id] == nil })
	maps.DeleteFunc(s.accesses, func(_ string, t *accessToken) bool { return !now.Before(t.expires) })
}

// GetClientByClientID implements zop.OPStorage. Any other error than an
// oidc.Error would be answered as the server's own failure.
func (s *storage) GetClientByClientID(_ context.Context, id string) (zop.Client, error) {
	c, ok := s.clients[id]
	if !ok {
		return nil, oidc.ErrInvalidClient()
	}
	return c, nil
}

// AuthorizeClientIDSecret implements zop.OPStorage.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	c, ok := s.clients[id]
	if !ok || !c.client.authenticates(secret) {
		return errors.New("unknown client or wrong secret")
	}
	return nil
}

// GetKeyByIDAndClientID implements zop.OPStorage: no client here signs anything.
func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, oidc.ErrInvalidClient()
}

// ValidateJWTProfileScopes implements zop.OPStorage, for a grant not offered.
func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, oidc.ErrInvalidScope()
}

// Health implements zop.Storage.
func (s *storage) Health(context.Context) error { return nil }

// SigningKey implements zop.AuthStorage.
func (s *storage) SigningKey(context.Context) (zop.SigningKey, error) { return s.key, nil }

// SignatureAlgorithms implements zop.AuthStorage.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet implements zop.AuthStorage.
func (s *storage) KeySet(context.Context) ([]zop.Key, error) {
	return []zop.Key{publicKey{s.key}}, nil
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k signingKey) ID() string                                { return k.id }
func (k signingKey) Key() any                                  { return k.private }
func (signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

type publicKey struct{ signing signingKey }

func (k publicKey) ID() string                       { return k.signing.id }
func (k publicKey) Key() any                         { return k.signing.private.Public() }
func (publicKey) Use() string                        { return "sig" }
func (publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
