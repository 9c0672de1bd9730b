package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

// Open's errors, for errors.Is. After ErrUnknownKey the value may be sound: its
// key has left the ring, or has not reached this replica.
var (
	ErrUnknownKey = errors.New("sealed under a key that is not in the keyring")
	ErrOpen       = errors.New("not sealed by us for this purpose, or damaged")
)

// Box seals and hashes for one purpose, under the keys that its Keyring has at the
// time. It is safe for concurrent use.
type Box struct {
	ring    *Keyring
	purpose string
	derived *atomic.Pointer[derived]
}

// derived is what the keys of the ring become for one purpose.
type derived struct {
	of    *[]key
	slots []slot
}

// slot is what one key of the ring becomes for one purpose.
type slot struct {
	id   string
	aead hidden[cipher.AEAD]
	sum  hidden[[]byte]
}

// For derives the box of a purpose, a constant of the program such as
// "session record". Boxes of two purposes have nothing in common.
func (r *Keyring) For(purpose string) *Box {
	b := &Box{r, purpose, new(atomic.Pointer[derived])}
	b.slots()
	return b
}

func (b *Box) slots() []slot {
	keys := b.ring.keys.Load()
	if d := b.derived.Load(); d != nil && d.of == keys {
		return d.slots
	}
	d := &derived{keys, make([]slot, len(*keys))}
	for i, k := range *keys {
		aead, err := chacha20poly1305.NewX(k.derive("seal", b.purpose))
		if err != nil {
			panic(err) // the length of the key is a constant
		}
		d.slots[i] = slot{k.id, hide(aead), hide(k.derive("sum", b.purpose))}
	}
	b.derived.Store(d)
	return d.slots
}

// derive expands the key for one use. The NUL keeps use and purpose apart.
func (k key) derive(use, purpose string) []byte {
	secret := k.secret()
	out, err := hkdf.Key(sha256.New, secret[:], nil, "lamplighter "+use+" v1\x00"+purpose, KeySize)
	if err != nil {
		panic(err) // the length asked for is a constant
	}
	return out
}

// Seal encrypts plaintext under the first key and binds it to aad, which is not
// kept in the result. The result is
//
//	length of key id (1 byte) | key id | nonce (24 bytes) | ciphertext and tag
//
// and differs at every call. The key id is authenticated with aad.
func (b *Box) Seal(plaintext, aad []byte) []byte {
	first := b.slots()[0]
	id, aead := first.id, first.aead()
	head := 1 + len(id)
	out := make([]byte, head+aead.NonceSize(), head+aead.NonceSize()+len(plaintext)+aead.Overhead())
	out[0] = byte(len(id))
	copy(out[1:], id)
	nonce := out[head:]
	_, _ = rand.Read(nonce) // never fails: it crashes the process instead
	return aead.Seal(out, nonce, plaintext, bind(out[:head], aad))
}

// Open reverses Seal, under whichever key of the ring sealed. The error is
// ErrUnknownKey or ErrOpen, and says nothing of the content.
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) == 0 || len(sealed) < 1+int(sealed[0]) {
		return nil, fmt.Errorf("open: %w", ErrOpen)
	}
	head := sealed[:1+int(sealed[0])]
	id := string(head[1:])
	if !validID(id) {
		return nil, fmt.Errorf("open: %w", ErrOpen)
	}
	slots := b.slots()
	i := slices.IndexFunc(slots, func(s slot) bool { return s.id == id })
	if i < 0 {
		return nil, fmt.Errorf("open: %w: %s", ErrUnknownKey, id)
	}
	aead, body := slots[i].aead(), sealed[len(head):]
	if len(body) < aead.NonceSize() {
		return nil, fmt.Errorf("open: %w", ErrOpen)
	}
	nonce, ciphertext := body[:aead.NonceSize()], body[aead.NonceSize():]
	plaintext, err := aead.Open(nil, nonce, ciphertext, bind(head, aad))
	if err != nil {
		return nil, fmt.Errorf("open: %w", ErrOpen)
	}
	return plaintext, nil
}

// bind joins head and aad; head starts with its own length, so no two pairs join
// to the same bytes.
func bind(head, aad []byte) []byte { return slices.Concat(head, aad) }

// Sum is the keyed hash (HMAC-SHA256) of data under the first key: stable, and
// of no use to whoever lacks the key.
func (b *Box) Sum(data []byte) [32]byte { return b.slots()[0].hash(data) }

// Sums yields the keyed hash of data under every key, the first key's first: a
// name may have been stored before the keys were rotated.
func (b *Box) Sums(data []byte) iter.Seq[[32]byte] {
	return func(yield func([32]byte) bool) {
		for _, s := range b.slots() {
			if !yield(s.hash(data)) {
				return
			}
		}
	}
}

func (s slot) hash(data []byte) (sum [32]byte) {
	mac := hmac.New(sha256.New, s.sum())
	mac.Write(data)
	mac.Sum(sum[:0])
	return sum
}

// Format implements fmt.Formatter: no verb reaches a key.
func (b Box) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "box") }

// LogValue implements slog.LogValuer.
func (b Box) LogValue() slog.Value { return slog.StringValue("box") }
