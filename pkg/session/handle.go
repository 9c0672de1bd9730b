package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// HandleLen is the number of characters of a Handle: 32 bytes in unpadded
// base64url. The fixed alphabet and length let a cookie parser reject anything
// else without a look-up.
const HandleLen = 43

// ErrBadHandle says that a cookie value cannot be a Handle.
var ErrBadHandle = errors.New("parse handle: want 43 base64url characters")

// Handle is the secret in the browser's cookie, 256 bits from crypto/rand. It
// is never stored and never logged. Compare handles with Equal.
type Handle struct{ value *string } // a pointer for the reason given at Secret; not interned, since one is made for every Check

// NewHandle draws a handle.
func NewHandle() Handle {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24: it crashes the process instead
	return Handle{new(base64.RawURLEncoding.EncodeToString(b[:]))}
}

// ParseHandle takes a cookie value. It accepts exactly the strings NewHandle
// produces: no padding, no second encoding of the same bytes.
func ParseHandle(s string) (Handle, error) {
	var b [33]byte
	if len(s) != HandleLen {
		return Handle{}, ErrBadHandle
	}
	// It passes over line breaks: then there are fewer bytes.
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != 32 {
		return Handle{}, ErrBadHandle
	}
	return Handle{&s}, nil
}

// Reveal returns the cookie value.
func (h Handle) Reveal() string {
	if h.value == nil {
		return ""
	}
	return *h.value
}

// Equal reports whether h and other are the same handle.
func (h Handle) Equal(other Handle) bool { return h.Reveal() == other.Reveal() }

// ID is the name under which the session is stored.
func (h Handle) ID() ID { return sha256.Sum256([]byte(h.Reveal())) }

// Format implements fmt.Formatter: a handle opens a session, so no verb prints it.
func (h Handle) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (h Handle) LogValue() slog.Value { return slog.StringValue(redacted) }

// ID is the SHA-256 of a Handle. It opens nothing, but it names one user's
// session for as long as that lives, so logs get a short form and metrics none.
type ID [32]byte

// String is the first 48 bits in hex: enough to follow one session through a log.
func (id ID) String() string { return hex.EncodeToString(id[:6]) }

// LogValue implements slog.LogValuer.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// Revision counts the refreshes of a session: 1 at login, n+1 after each. 0 is
// no revision; in a request it means "whatever is current".
type Revision uint64
