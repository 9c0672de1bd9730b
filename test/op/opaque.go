package op

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// opaque makes codes and access tokens of what the library puts into them. Its
// own way makes a JWE of each, which looks like something a caller may read.
type opaque struct{ aead cipher.AEAD }

func newOpaque() (opaque, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return opaque{}, fmt.Errorf("make token cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return opaque{}, fmt.Errorf("make token cipher: %w", err)
	}
	return opaque{aead}, nil
}

// Encrypt implements zop.Encrypter.
func (o opaque) Encrypt(content string) (string, error) {
	return base64.RawURLEncoding.EncodeToString(o.aead.Seal(nil, nil, []byte(content), nil)), nil
}

// Decrypt implements zop.Decrypter.
func (o opaque) Decrypt(token string) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", fmt.Errorf("decode token: %w", err)
	}
	content, err := o.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return "", fmt.Errorf("open token: %w", err)
	}
	return string(content), nil
}
