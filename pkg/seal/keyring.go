package seal

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// maxIDLen bounds a key id; its length is one byte in front of every sealed value.
const maxIDLen = 16

// Keyring is an ordered set of named keys. It is safe for concurrent use, and prints
// as the ids of its keys only.
type Keyring struct{ keys *atomic.Pointer[[]key] }

type key struct {
	id     string
	secret hidden[[KeySize]byte]
}

// hidden keeps a value in a closure. fmt cannot call our Format on an unexported
// field of a foreign struct, and with a verb that does not fit it follows even a
// nested pointer; a func it never looks into.
type hidden[T any] func() T

func hide[T any](v T) hidden[T] { return func() T { return v } }

// ReadKeys reads a key file, see ParseKeys. The error names the file and, when it
// cannot be read or holds no key, the command that makes one.
func ReadKeys(path string) (*Keyring, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w; %s", err, howToMake(path))
	}
	ring, err := ParseKeys(src)
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("read keys %s: %w; %s", path, err, howToMake(path))
	}
	if err != nil {
		return nil, fmt.Errorf("read keys %s: %w", path, err)
	}
	return ring, nil
}

func howToMake(path string) string {
	return fmt.Sprintf(`make one with: printf 'k1:%%s\n' "$(openssl rand -base64 32)" > %s`, path)
}

var errNoKey = errors.New("no key in it")

// ParseKeys reads one key a line, `id:base64(32 bytes)`: the id is 1 to 16 of
// A-Z a-z 0-9 . _ -, the base64 is standard with padding, as openssl writes it.
// Blank lines and lines that start with # are skipped. Two keys with the same id
// or the same bytes are refused. The error tells every wrong line by its number
// and never repeats any of its text: what looks like an id may be a key.
func ParseKeys(src []byte) (*Keyring, error) {
	var keys []key
	var wrong []error
	lineOf := make(map[string]int)
	for n, line := range strings.Split(string(src), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(line)
		if err == nil {
			err = refuseTwin(keys, k, lineOf)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n+1, err))
			continue
		}
		keys, lineOf[k.id] = append(keys, k), n+1
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if len(keys) == 0 {
		return nil, errNoKey
	}
	ring := &Keyring{new(atomic.Pointer[[]key])}
	ring.keys.Store(&keys)
	return ring, nil
}

// Replace gives r the keys of next, and every Box that was made of r. It refuses, with
// no effect, keys without the one that r seals under, and another key by the id of one:
// whatever was sealed a moment ago, or under that id, would be lost. It is called by one
// goroutine at a time.
func (r *Keyring) Replace(next *Keyring) error {
	keys := *r.keys.Load()
	first, kept := keys[0], false
	for _, k := range *next.keys.Load() {
		for _, before := range keys[1:] {
			if k.id == before.id && !same(k, before) {
				return fmt.Errorf("replace keys: %s is another key than before; give the new one an id of its own", k.id)
			}
		}
		kept = kept || k.id == first.id && same(k, first)
	}
	if kept {
		r.keys.Store(next.keys.Load())
		return nil
	}
	return fmt.Errorf("replace keys: %s, under which everything is sealed now, is not among them; put the new key before it and keep it", first.id)
}

func same(a, b key) bool {
	x, y := a.secret(), b.secret()
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func parseKey(line string) (key, error) {
	id, encoded, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return key{}, errors.New("has no colon; write id:base64 of 32 bytes, such as k1:<output of openssl rand -base64 32>")
	case !validID(id):
		return key{}, fmt.Errorf("id is not 1 to %d of A-Z a-z 0-9 . _ -; write a short name such as k1 before the colon", maxIDLen)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil { // the error itself would tell an offset only, but of a secret
		return key{}, errors.New("key is not standard base64 with padding; write the output of openssl rand -base64 32 after the colon")
	}
	if len(secret) != KeySize {
		return key{}, fmt.Errorf("key has %d bytes; write %d, the output of openssl rand -base64 32", len(secret), KeySize)
	}
	return key{id: id, secret: hide([KeySize]byte(secret))}, nil
}

func refuseTwin(keys []key, k key, lineOf map[string]int) error {
	for _, have := range keys {
		if have.id == k.id {
			return fmt.Errorf("same id as line %d; give each key its own", lineOf[have.id])
		}
		if same(have, k) {
			return fmt.Errorf("same key as line %d; make a new one with openssl rand -base64 32", lineOf[have.id])
		}
	}
	return nil
}

func validID(id string) bool {
	return 0 < len(id) && len(id) <= maxIDLen && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			r == '.' || r == '_' || r == '-')
	})
}

// String lists the key ids.
func (r Keyring) String() string {
	var b strings.Builder
	for _, k := range *r.keys.Load() {
		b.WriteString(" " + k.id)
	}
	return "keyring" + b.String()
}

// Format implements fmt.Formatter: no verb reaches a key.
func (r Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r Keyring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText refuses: a keyring is not meant to be written anywhere.
func (r Keyring) MarshalText() ([]byte, error) { return nil, errors.New("marshal keyring: refused") }
