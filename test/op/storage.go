package op

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// digest keys everything a caller presents, so that no token, code or cookie
// lies in memory after it was handed out, but for what a grace hands out again.
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
	noIDToken     bool // in the answer to a refresh
	policy        Policy
	requests      map[string]*authRequest
	codes         map[digest]string  // to the id in requests
	browsers      map[digest]*signIn // by the browser's cookie
	families      []*family
	bySession     map[string][]*family // by sid
	latest        map[owner]*family    // the last one with a refresh token
	refreshes     map[digest]*refreshToken
	accesses      map[string]*accessToken
	book          book
	events        []Event // to log when mu is free
	sweepAt       time.Time
	issued        int // access tokens since the last sweep
}

func newStorage(o Options) (*storage, error) {
	key, err := newSigningKey(o.ES256)
	if err != nil {
		return nil, err
	}
	s := &storage{
		clients:      map[string]registration{},
		key:          key,
		log:          o.Log,
		life:         DefaultAccessTokenLife,
		issueRefresh: !o.NoRefreshToken,
		requests:     map[string]*authRequest{},
		codes:        map[digest]string{},
		browsers:     map[digest]*signIn{},
		bySession:    map[string][]*family{},
		latest:       map[owner]*family{},
		refreshes:    map[digest]*refreshToken{},
		accesses:     map[string]*accessToken{},
		book:         book{keep: o.KeepReceived, by: map[outcome]int{}, revokedBy: map[string]int{}},
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

// deadKept is how long after its end an access token is known: whoever was told a
// longer life may serve it first when it is over.
const deadKept = 2 * time.Minute

// sweep forgets, at most once a minute, what time has made useless. Refresh
// tokens stay for ever: a spent one must be recognised whenever it comes back.
// It waits until a share of the access tokens is new, so that many long-lived
// ones are not looked at every minute for nothing. The caller holds mu.
func (s *storage) sweep(now time.Time) {
	if now.Before(s.sweepAt) || s.issued < len(s.accesses)/8 {
		return
	}
	s.sweepAt, s.issued = now.Add(time.Minute), 0
	maps.DeleteFunc(s.requests, func(_ string, r *authRequest) bool { return now.Sub(r.created) > authRequestLife })
	maps.DeleteFunc(s.codes, func(_ digest, id string) bool { return s.requests[id] == nil })
	maps.DeleteFunc(s.accesses, func(_ string, t *accessToken) bool { return now.Sub(t.expires) >= deadKept })
}

// GetClientByClientID implements zop.OPStorage. Any other error than an
// oidc.Error would be answered as the server's own failure.
func (s *storage) GetClientByClientID(_ context.Context, id string) (zop.Client, error) {
	c, ok := s.registered(id)
	if !ok {
		return nil, oidc.ErrInvalidClient()
	}
	return c, nil
}

func (s *storage) registered(id string) (registration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[id]
	return c, ok
}

// AuthorizeClientIDSecret implements zop.OPStorage.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	c, ok := s.registered(id)
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
