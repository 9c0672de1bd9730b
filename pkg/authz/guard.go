package authz

import "strings"

const authorization = "authorization"

// guard knows the header names that a client must not supply. Upstreams that
// turn names into variables (CGI and what came after it) read every punctuation
// alike, and Envoy lets x_user_id and x!user!id pass beside x-user-id.
type guard struct {
	names   []string // lower-case; the first is authorization
	lengths uint64   // bit n: some name has n bytes, modulo 64
}

func newGuard(i Identity) *guard {
	g := &guard{names: append([]string{authorization}, i.names()...)}
	for _, name := range g.names {
		g.lengths |= lengthBit(name)
	}
	return g
}

func lengthBit(name string) uint64 { return 1 << (len(name) & 63) }

// spelling is how a header name relates to the guarded ones.
type spelling uint8

const (
	unrelated     spelling = iota
	exact                  // a guarded name; case does not count in HTTP
	lookalike              // a guarded name with other punctuation
	exactlyBearer          // authorization
)

func (g *guard) look(name string) spelling {
	if g.lengths&lengthBit(name) == 0 { // nearly always
		return unrelated
	}
	found := unrelated
	for i, guarded := range g.names {
		switch {
		case !alike(name, guarded):
		case !strings.EqualFold(name, guarded):
			found = lookalike
		case i == 0:
			return exactlyBearer
		default:
			return exact // also if it looks like another one
		}
	}
	return found
}

// alike: the same name once case and punctuation are forgotten.
func alike(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if skeleton(a[i]) != skeleton(b[i]) {
			return false
		}
	}
	return true
}

// skeleton forgets case and punctuation.
func skeleton(c byte) byte {
	switch {
	case !alphanumeric(c):
		return '-'
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
