package session

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"unique"
)

const redacted = "[redacted]"

// Secret is a string that nothing prints by accident: fmt (every verb), slog,
// encoding/json and encoding.TextMarshaler users see "[redacted]" or an error.
// The zero value is the absent secret. Secrets compare with ==.
//
// The string is behind a pointer, since fmt cannot call Format on an unexported
// field of somebody's struct: there it prints an address.
type Secret struct{ value unique.Handle[string] }

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{unique.Make(value)}
}

// Reveal returns the secret itself, for the one place that must send or seal it.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.value.Value()
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements fmt.Formatter, so that no verb reaches the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: a codec that means to store a secret calls Reveal.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("marshal secret: refused")
}

// AccessToken is what upstreams see behind "Bearer" (RFC 6750).
type AccessToken struct{ Secret }

// RefreshToken is what the token endpoint takes for the next tokens (RFC 6749
// section 6). Many providers accept each one once.
type RefreshToken struct{ Secret }

// IDToken is kept for the id_token_hint of RP-initiated logout.
type IDToken struct{ Secret }
