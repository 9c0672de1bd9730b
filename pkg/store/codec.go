package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// A record on disk:
//
//	version u8 | len u32 | head | len u32 | meta | sealed body
//
// The head is plain and, with the version, the additional data of the seal (the
// seal binds the key id itself). The meta is plain and outside the seal: Begin
// and Fail change it without opening or re-sealing the body.
const recordVersion = 1

// Codec turns records into bytes and back. It is safe for concurrent use.
type Codec struct {
	records  *seal.Box
	subjects *seal.Box
}

// NewCodec seals with the first key of the ring and opens with all of them.
func NewCodec(keys *seal.Keyring) Codec {
	return Codec{records: keys.For("session record"), subjects: keys.For("subject index")}
}

type head struct {
	ID       []byte           `json:"id"`
	App      string           `json:"app"`
	Provider string           `json:"provider"`
	Revision session.Revision `json:"revision"`
}

// Meta is what a record shows without its key: enough to rebuild the due index.
type Meta struct {
	ID       session.ID
	Revision session.Revision
	DueAt    time.Time
	Exp      time.Time
	EndsAt   time.Time
	Used     time.Time // as of the write
}

type meta struct {
	Attempt   *attemptMeta  `json:"attempt,omitempty"`
	Fence     uint64        `json:"fence,omitempty"`
	InDoubt   bool          `json:"in_doubt,omitempty"`
	ReplayAt  time.Time     `json:"replay_at,omitzero"`
	NotBefore time.Time     `json:"not_before,omitzero"`
	Failures  int           `json:"failures,omitempty"`
	LastClass session.Class `json:"last_class,omitempty"`
	Tries     int           `json:"tries,omitempty"`
	Committed []byte        `json:"committed,omitempty"`
	Used      time.Time     `json:"used,omitzero"` // as of the write; newer ones are kept by the backend
	DueAt     time.Time     `json:"due_at,omitzero"`
	Exp       time.Time     `json:"exp"`
	EndsAt    time.Time     `json:"ends_at"`
}

type attemptMeta struct {
	ID            []byte    `json:"id"`
	Fence         uint64    `json:"fence"`
	InDoubt       bool      `json:"in_doubt,omitempty"`
	Tries         int       `json:"tries"`
	Owner         string    `json:"owner"`
	FoundReplayAt time.Time `json:"found_replay_at,omitzero"`
}

// body is a session as it is sealed. It exists in the clear only on the way
// into and out of the seal.
type body struct {
	Access    string            `json:"access_token"`
	Refresh   string            `json:"refresh_token,omitempty"`
	IDToken   string            `json:"id_token,omitempty"`
	Issued    time.Time         `json:"issued"`
	Lifetime  time.Duration     `json:"lifetime"`
	Subject   string            `json:"sub"`
	SID       string            `json:"sid,omitempty"`
	Email     string            `json:"email,omitempty"`
	Name      string            `json:"name,omitempty"`
	AuthTime  time.Time         `json:"auth_time,omitzero"`
	Claims    map[string]string `json:"claims,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	EndsAt    time.Time         `json:"ends_at"`
	SweepAt   time.Time         `json:"sweep_at,omitzero"`
}

// Encode seals r.
func (c Codec) Encode(r Record) ([]byte, error) {
	s := r.Session
	h, err := json.Marshal(head{ID: s.ID[:], App: s.App, Provider: s.Provider, Revision: s.Revision})
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	plain, err := json.Marshal(body{
		Access: s.Token.Access.Reveal(), Refresh: s.Token.Refresh.Reveal(), IDToken: s.Token.ID.Reveal(),
		Issued: s.Token.Issued, Lifetime: s.Token.Lifetime,
		Subject: s.Identity.Subject, SID: s.Identity.SID, Email: s.Identity.Email, Name: s.Identity.Name,
		AuthTime: s.Identity.AuthTime, Claims: s.Identity.Claims,
		CreatedAt: s.CreatedAt, EndsAt: s.EndsAt, SweepAt: s.SweepAt,
	})
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	m, err := encodeMeta(r)
	if err != nil {
		return nil, err
	}
	return frame(h, m, c.records.Seal(plain, aad(h))), nil
}

// WithMeta is encoded with everything of r but the session, which must be the
// one that encoded holds: the body is neither opened nor sealed.
func (c Codec) WithMeta(encoded []byte, r Record) ([]byte, error) {
	h, _, sealed, err := unframe(encoded)
	if err != nil {
		return nil, err
	}
	m, err := encodeMeta(r)
	if err != nil {
		return nil, err
	}
	return frame(h, m, sealed), nil
}

// Decode opens a record. Whatever is wrong with it is session.ErrUnavailable:
// the session may well exist, it just cannot be read with these keys or by this
// version.
func (c Codec) Decode(encoded []byte) (Record, error) {
	rawHead, rawMeta, sealed, err := unframe(encoded)
	if err != nil {
		return Record{}, err
	}
	h, m, err := parse(rawHead, rawMeta)
	if err != nil {
		return Record{}, err
	}
	plain, err := c.records.Open(sealed, aad(rawHead))
	if err != nil {
		return Record{}, unreadable(err)
	}
	var b body
	if err := json.Unmarshal(plain, &b); err != nil {
		return Record{}, unreadable(errors.New("body is not JSON"))
	}
	return record(h, m, b), nil
}

// DecodeMeta reads what needs no key.
func DecodeMeta(encoded []byte) (Meta, error) {
	rawHead, rawMeta, _, err := unframe(encoded)
	if err != nil {
		return Meta{}, err
	}
	h, m, err := parse(rawHead, rawMeta)
	if err != nil {
		return Meta{}, err
	}
	return Meta{ID: session.ID(h.ID), Revision: h.Revision, DueAt: m.DueAt, Exp: m.Exp, EndsAt: m.EndsAt, Used: m.Used}, nil
}

func parse(rawHead, rawMeta []byte) (h head, m meta, err error) {
	if err := errors.Join(json.Unmarshal(rawHead, &h), json.Unmarshal(rawMeta, &m)); err != nil {
		return h, m, unreadable(errors.New("head or meta is not JSON"))
	}
	wrong := len(h.ID) != len(session.ID{}) || h.Revision == 0 || m.Failures < 0 || m.Tries < 0 ||
		int(m.LastClass) > len(session.Classes()) || len(m.Committed) != 0 && len(m.Committed) != len(AttemptID{}) ||
		m.Attempt != nil && len(m.Attempt.ID) != len(AttemptID{})
	if wrong {
		return h, m, unreadable(errors.New("head or meta is impossible"))
	}
	return h, m, nil
}

func record(h head, m meta, b body) Record {
	r := Record{
		Session: session.Session{
			ID: session.ID(h.ID), Revision: h.Revision, App: h.App, Provider: h.Provider,
			Token: session.Token{
				Access:  session.AccessToken{Secret: session.NewSecret(b.Access)},
				Refresh: session.RefreshToken{Secret: session.NewSecret(b.Refresh)},
				ID:      session.IDToken{Secret: session.NewSecret(b.IDToken)},
				Issued:  b.Issued, Lifetime: b.Lifetime,
			},
			Identity: session.Identity{
				Subject: b.Subject, SID: b.SID, Email: b.Email, Name: b.Name, AuthTime: b.AuthTime, Claims: b.Claims,
			},
			CreatedAt: b.CreatedAt, EndsAt: b.EndsAt, SweepAt: b.SweepAt,
		},
		Fence: m.Fence, InDoubt: m.InDoubt, ReplayAt: m.ReplayAt, NotBefore: m.NotBefore,
		Failures: m.Failures, LastClass: m.LastClass, Tries: m.Tries, Used: m.Used, DueAt: m.DueAt,
	}
	copy(r.Committed[:], m.Committed)
	if a := m.Attempt; a != nil {
		r.Attempt = &Attempt{
			ID: AttemptID(a.ID), SessionID: r.Session.ID, Revision: h.Revision, Fence: a.Fence,
			InDoubt: a.InDoubt, Tries: a.Tries, Owner: a.Owner, FoundReplayAt: a.FoundReplayAt,
		}
	}
	return r
}

func encodeMeta(r Record) ([]byte, error) {
	m := meta{
		Fence: r.Fence, InDoubt: r.InDoubt, ReplayAt: r.ReplayAt, NotBefore: r.NotBefore,
		Failures: r.Failures, LastClass: r.LastClass, Tries: r.Tries, Used: r.Used,
		DueAt: r.DueAt, Exp: r.Session.Token.Exp(), EndsAt: r.Session.EndsAt,
	}
	if r.Committed != (AttemptID{}) {
		m.Committed = r.Committed[:]
	}
	if a := r.Attempt; a != nil {
		m.Attempt = &attemptMeta{
			ID: a.ID[:], Fence: a.Fence, InDoubt: a.InDoubt, Tries: a.Tries, Owner: a.Owner, FoundReplayAt: a.FoundReplayAt,
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return out, nil
}

func aad(head []byte) []byte { return append([]byte{recordVersion}, head...) }

func frame(head, meta, sealed []byte) []byte {
	out := make([]byte, 0, 9+len(head)+len(meta)+len(sealed))
	out = append(out, recordVersion)
	for _, part := range [][]byte{head, meta} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return append(out, sealed...)
}

func unframe(b []byte) (head, meta, sealed []byte, err error) {
	if len(b) == 0 || b[0] != recordVersion {
		return nil, nil, nil, unreadable(errors.New("unknown version"))
	}
	b = b[1:]
	for _, part := range []*[]byte{&head, &meta} {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return nil, nil, nil, unreadable(errors.New("cut short"))
		}
		n := binary.BigEndian.Uint32(b)
		*part, b = b[4:4+n], b[4+n:]
	}
	return head, meta, b, nil
}

func unreadable(why error) error {
	return fmt.Errorf("decode record: %w: %w", session.ErrUnavailable, why)
}

// EncodeTombstone writes t in the clear: it holds nothing secret.
func EncodeTombstone(t Tombstone) ([]byte, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode tombstone: %w", err)
	}
	return b, nil
}

// DecodeTombstone reads what EncodeTombstone wrote.
func DecodeTombstone(b []byte) (Tombstone, error) {
	var t Tombstone
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("decode tombstone: %w: not JSON", session.ErrUnavailable)
	}
	return t, nil
}
