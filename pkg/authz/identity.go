package authz

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/lamplighter/lamplighter/pkg/session"
	"golang.org/x/net/http/httpguts"
)

// Identity names the headers that tell upstreams who the user is. An empty name
// is not sent. No client can supply any of them, in any spelling.
type Identity struct {
	UserID    string            // sub
	Email     string            // UTF-8
	Name      string            // UTF-8
	AuthTime  string            // of the real authentication, in seconds since 1970 as auth_time of an ID Token
	SessionID string            // a keyed hash, never the id
	Claims    map[string]string // further claim → header
}

// names lists the headers in use, lower-case, each once.
func (i Identity) names() []string {
	var names []string
	add := func(name string) {
		if name = strings.ToLower(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range []string{i.UserID, i.Email, i.Name, i.AuthTime, i.SessionID} {
		add(name)
	}
	for _, name := range i.Claims {
		add(name)
	}
	return names
}

// Encoder prepares the headers of a session once, when its view is published.
// It is immutable.
type Encoder struct {
	identity Identity
	names    []string
	hash     func(session.ID) string
}

// NewEncoder returns an Encoder, for a Server and for what makes its views. hash
// names a session to upstreams without telling its id.
func NewEncoder(i Identity, hash func(session.ID) string) *Encoder {
	return &Encoder{identity: i, names: i.names(), hash: hash}
}

// prepared is what View.Headers holds. It is shared by all answers and never
// changed.
type prepared struct {
	by     *Encoder
	set    []*corev3.HeaderValueOption // authorization first; empty: the token cannot be sent
	remove removal                     // the identity headers that are not in set
}

// headerBytes is what one prepared header takes besides its strings: two small
// messages and a pointer.
const headerBytes = 208

// Encode prepares the headers of s and tells their size in bytes. A value that
// no header can carry is left out, and then the client's is removed.
func (e *Encoder) Encode(s session.Session) (headers any, size int64) {
	p := &prepared{by: e}
	access := "Bearer " + s.Token.Access.Reveal()
	if s.Token.Access.IsZero() || !sendable(access) {
		return p, 0
	}
	missing := slices.Clone(e.names)
	add := func(name, value string) {
		p.set = append(p.set, overwrite(name, value))
		size += int64(len(name) + len(value) + headerBytes)
	}
	add(authorization, access)
	for name, value := range e.values(s) {
		if value != "" && sendable(value) {
			add(name, value)
			missing = slices.DeleteFunc(missing, func(n string) bool { return n == name })
		}
	}
	p.remove = newRemoval(missing)
	return p, size + int64(len(missing)+1)*16
}

// values is header → value, names lower-case.
func (e *Encoder) values(s session.Session) map[string]string {
	who, to := s.Identity, make(map[string]string, len(e.names))
	put := func(name, value string) {
		if name != "" {
			to[strings.ToLower(name)] = value
		}
	}
	for claim, name := range e.identity.Claims {
		put(name, who.Claims[claim])
	}
	put(e.identity.UserID, who.Subject)
	put(e.identity.Email, who.Email)
	put(e.identity.Name, who.Name)
	if !who.AuthTime.IsZero() {
		put(e.identity.AuthTime, strconv.FormatInt(who.AuthTime.Unix(), 10))
	}
	if e.identity.SessionID != "" {
		put(e.identity.SessionID, e.hash(s.ID))
	}
	return to
}

// sendable: Envoy writes a value as it is, line breaks and all, and a protobuf
// string carries UTF-8 only. (Envoy does not read raw_value in answers.)
func sendable(value string) bool {
	return utf8.ValidString(value) && httpguts.ValidHeaderFieldValue(value)
}

// overwrite: the value replaces all that the client sent. append stays unset:
// that one would win.
func overwrite(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// removal is a list of headers to remove, with "cookie" last: whether that one
// goes too is told by the request, and no answer needs a list of its own.
type removal []string

func newRemoval(names []string) removal {
	return append(slices.Clip(names), "cookie")
}

func (l removal) list(cookie bool) []string {
	n := len(l)
	if !cookie {
		n--
	}
	return l[:n:n]
}
