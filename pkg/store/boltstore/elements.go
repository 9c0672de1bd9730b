package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

type pageHead struct{ kind, count uint16 }

func header(page []byte) pageHead {
	return pageHead{binary.NativeEndian.Uint16(page[8:]), binary.NativeEndian.Uint16(page[10:])}
}

// element is a key of a page, with a value on a leaf and a child on a branch.
type element struct {
	key, value []byte
	child      uint64
	flags      uint32
}

var errLayout = errors.New("elements do not add up")

// elements reads the elements of a page, each key within [from, to) and after
// the one before.
func elements(page []byte, from, to []byte) ([]element, error) {
	h := header(page)
	next := pageHeader + elementSize*int(h.count) // where the next key must begin
	if next > len(page) {
		return nil, errLayout
	}
	all := make([]element, h.count)
	for i := range all {
		at := pageHeader + elementSize*i
		var word [4]uint32
		for j := range word {
			word[j] = binary.NativeEndian.Uint32(page[at+4*j:])
		}
		e := &all[i]
		pos, keySize, valueSize := word[1], word[2], word[3]
		if h.kind == kindBranch {
			pos, keySize, valueSize = word[0], word[1], 0
			e.child = binary.NativeEndian.Uint64(page[at+8:])
		} else {
			e.flags = word[0]
		}
		end := uint64(next) + uint64(keySize) + uint64(valueSize)
		if uint64(at)+uint64(pos) != uint64(next) || keySize == 0 || end > uint64(len(page)) || e.flags > flagBucket {
			return nil, errLayout
		}
		e.key, e.value = page[next:next+int(keySize)], page[next+int(keySize):end]
		next = int(end)
		if i > 0 && bytes.Compare(all[i-1].key, e.key) >= 0 || bytes.Compare(e.key, from) < 0 || to != nil && bytes.Compare(e.key, to) >= 0 {
			return nil, errors.New("keys are out of order")
		}
	}
	return all, nil
}

// tree checks a page and all below it. Its keys are in [from, to), where nil is
// no bound.
func (p *pageFile) tree(id uint64, from, to []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d is too deep", id)
	}
	page, err := p.page(id)
	if err != nil {
		return err
	}
	switch kind := header(page).kind; kind {
	case kindBranch:
		err = p.branch(page, from, to, depth)
	case kindLeaf:
		err = p.leaf(page, from, to, depth)
	default:
		err = fmt.Errorf("kind is %#x", kind)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (p *pageFile) branch(page, from, to []byte, depth int) error {
	all, err := elements(page, from, to)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("branch leads nowhere")
	}
	for i, e := range all {
		end := to
		if i+1 < len(all) {
			end = all[i+1].key
		}
		if err := p.tree(e.child, e.key, end, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *pageFile) leaf(page, from, to []byte, depth int) error {
	all, err := elements(page, from, to)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.flags == flagBucket {
			if err := p.bucket(e.value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
