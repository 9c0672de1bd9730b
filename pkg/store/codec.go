package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// Codec turns records into bytes and back. It is safe for concurrent use.
type Codec struct {
	records  *seal.Box
	subjects *seal.Box
}

// NewCodec seals with the first key of the ring and opens with all of them.
func NewCodec(keys *seal.Keyring) Codec {
	return Codec{records: keys.For("session record"), subjects: keys.For("subject index")}
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

// Encode seals r.
func (c Codec) Encode(r Record) ([]byte, error) {
	h, sealed, err := c.Seal(r.Session)
	if err != nil {
		return nil, err
	}
	m, err := json.Marshal(metaOf(r))
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return frame(h, m, sealed), nil
}

// Seal is what a backend stores of s that keeps the parts of a record apart: the
// head, plain, and the sealed body, which it binds.
func (c Codec) Seal(s session.Session) (plainHead, sealed []byte, err error) {
	h, err := json.Marshal(headOf(s))
	if err != nil {
		return nil, nil, fmt.Errorf("encode session: %w", err)
	}
	plain, err := json.Marshal(bodyOf(s))
	if err != nil {
		return nil, nil, fmt.Errorf("encode session: %w", err)
	}
	return h, c.records.Seal(plain, aad(h)), nil
}

// Open is the session that Seal was given; the errors are those of Decode.
func (c Codec) Open(plainHead, sealed []byte) (session.Session, error) {
	var h head
	if json.Unmarshal(plainHead, &h) != nil || !h.possible() {
		return session.Session{}, unreadable(errors.New("head is impossible"))
	}
	return c.open(h, plainHead, sealed)
}

func (c Codec) open(h head, rawHead, sealed []byte) (session.Session, error) {
	plain, err := c.records.Open(sealed, aad(rawHead))
	if err != nil {
		return session.Session{}, unreadable(err)
	}
	var b body
	if err := json.Unmarshal(plain, &b); err != nil || !b.possible() {
		return session.Session{}, unreadable(errors.New("body is not that of a session")) // the error itself may quote a token
	}
	return sessionOf(h, b), nil
}

// WithMeta is encoded with everything of r but the session, which must be the
// one that encoded holds: the body is neither opened nor sealed.
func (c Codec) WithMeta(encoded []byte, r Record) ([]byte, error) {
	h, _, sealed, err := unframe(encoded)
	if err != nil {
		return nil, err
	}
	m, err := json.Marshal(metaOf(r))
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return frame(h, m, sealed), nil
}

// Decode opens a record; all its times are in UTC. Whatever is wrong with it is
// session.ErrUnavailable: the session may well exist, it just cannot be read
// with these keys or by this version.
func (c Codec) Decode(encoded []byte) (Record, error) {
	rawHead, rawMeta, sealed, err := unframe(encoded)
	if err != nil {
		return Record{}, err
	}
	h, m, err := parse(rawHead, rawMeta)
	if err != nil {
		return Record{}, err
	}
	s, err := c.open(h, rawHead, sealed)
	if err != nil {
		return Record{}, err
	}
	return record(s, m), nil
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
	return Meta{
		ID: session.ID(h.ID), Revision: h.Revision,
		DueAt: m.DueAt.Time, Exp: m.Exp.Time, EndsAt: m.EndsAt.Time, Used: m.Used.Time,
	}, nil
}

// EncodeTombstone writes t in the clear: it holds nothing secret.
func EncodeTombstone(t Tombstone) ([]byte, error) {
	b, err := json.Marshal(grave{Reason: t.Reason, At: at(t.At), Until: at(t.Until), History: outcomes(t.History)})
	if err != nil {
		return nil, fmt.Errorf("encode tombstone: %w", err)
	}
	return frame(b, nil, nil), nil
}

// DecodeTombstone reads what EncodeTombstone wrote.
func DecodeTombstone(encoded []byte) (Tombstone, error) {
	b, _, _, err := unframe(encoded)
	if err != nil {
		return Tombstone{}, err
	}
	var g grave
	if err := json.Unmarshal(b, &g); err != nil || !possible(g.History) {
		return Tombstone{}, unreadable(errors.New("tombstone is not JSON"))
	}
	return Tombstone{Reason: g.Reason, At: g.At.Time, Until: g.Until.Time, History: historyOf(g.History)}, nil
}
