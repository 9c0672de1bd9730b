package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// A record on disk:
//
//	version u8 | len u32 | head | len u32 | meta | sealed body | CRC-32C u32
//
// The head is plain and, with the version, the additional data of the seal (the
// seal binds the key id itself). The meta is plain and outside the seal: Begin
// and Fail change it without opening or re-sealing the body. The checksum keeps
// no attacker out; it finds a meta that a disk has changed, which nothing else
// would, and it stands first among the checks of every version to come.
const recordVersion = 1

const lenSize = 4

func aad(head []byte) []byte { return append([]byte{recordVersion}, head...) }

func frame(head, meta, sealed []byte) []byte {
	out := make([]byte, 0, 1+lenSize+len(head)+lenSize+len(meta)+len(sealed)+crc32.Size)
	out = append(out, recordVersion)
	for _, part := range [][]byte{head, meta} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	out = append(out, sealed...)
	return binary.BigEndian.AppendUint32(out, checksum(out))
}

func unframe(b []byte) (head, meta, sealed []byte, err error) {
	if len(b) < 1+crc32.Size {
		return nil, nil, nil, unreadable(errors.New("cut short"))
	}
	b, sum := b[:len(b)-crc32.Size], binary.BigEndian.Uint32(b[len(b)-crc32.Size:])
	if checksum(b) != sum {
		return nil, nil, nil, unreadable(errors.New("wrong checksum"))
	}
	if b[0] != recordVersion {
		return nil, nil, nil, unreadable(fmt.Errorf("version %d, this program reads %d", b[0], recordVersion))
	}
	b = b[1:]
	for _, part := range []*[]byte{&head, &meta} {
		if len(b) < lenSize || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-lenSize) {
			return nil, nil, nil, unreadable(errors.New("cut short"))
		}
		n := lenSize + int(binary.BigEndian.Uint32(b))
		*part, b = b[lenSize:n], b[n:]
	}
	return head, meta, b, nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// ErrUnreadable is session.ErrUnavailable of one record, for good: with these keys,
// and by this version.
var ErrUnreadable = fmt.Errorf("%w: record cannot be read", session.ErrUnavailable)

func unreadable(why error) error { return fmt.Errorf("decode record: %w: %w", ErrUnreadable, why) }
