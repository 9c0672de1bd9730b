package op

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// SigningKey implements zop.AuthStorage.
func (s *storage) SigningKey(context.Context) (zop.SigningKey, error) { return s.key, nil }

// SignatureAlgorithms implements zop.AuthStorage.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.key.algorithm}, nil
}

// KeySet implements zop.AuthStorage.
func (s *storage) KeySet(context.Context) ([]zop.Key, error) {
	return []zop.Key{publicKey{s.key}}, nil
}

type signingKey struct {
	id        string
	algorithm jose.SignatureAlgorithm
	private   crypto.Signer
}

// newSigningKey makes a key with an id of its own.
func newSigningKey(es256 bool) (signingKey, error) {
	k := signingKey{id: rand.Text(), algorithm: jose.RS256}
	var err error
	if es256 {
		k.algorithm = jose.ES256
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return signingKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	return k, nil
}

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) Key() any                                    { return k.private }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return k.algorithm }

type publicKey struct{ signing signingKey }

func (k publicKey) ID() string                         { return k.signing.id }
func (k publicKey) Key() any                           { return k.signing.private.Public() }
func (publicKey) Use() string                          { return "sig" }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return k.signing.algorithm }
