package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/bits"
	"os"
)

// The file format of bbolt, as far as it is checked here; numbers are in the
// machine's byte order.
//
//	page     id u64 | kind u16 | count u16 | overflow u32 | elements | keys and values
//	branch   pos u32 | key size u32 | child u64
//	leaf     flags u32 | pos u32 | key size u32 | value size u32
//	bucket   root page u64 (0: a page follows in the value) | sequence u64
//	meta     magic u32 | version u32 | page size u32 | flags u32 | root bucket | freelist u64 | pages u64 | tx u64 | FNV-1a of all that u64
//
// pos counts from the element itself, and bbolt leaves no gap between the keys.
const (
	pageHeader  = 16
	elementSize = 16
	bucketSize  = 16
	metaSize    = 64

	kindBranch   = 1
	kindLeaf     = 2
	kindFreelist = 16

	flagBucket = 1
	noFreelist = ^uint64(0)
	maxDepth   = 32 // of branches and buckets; a page has room for dozens of children
)

// pageFile is a bbolt file that is being checked.
type pageFile struct {
	r    io.ReaderAt
	size int64  // of a page
	used uint64 // pages in use
	seen []bool // by page
}

// checkPages reads all pages that bbolt can reach, and holds them to what bbolt
// takes for granted. bbolt reads through a memory map, without bounds: of a
// damaged page it makes a fault, an endless loop or a huge allocation, and it
// reads them first in goroutines of its own, where no recover of ours helps.
func checkPages(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := check(f, info.Size()); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

func check(r io.ReaderAt, length int64) error {
	root, p, err := readMetas(r, length)
	if err != nil {
		return err
	}
	if free := binary.NativeEndian.Uint64(root[bucketSize:]); free != noFreelist {
		if err := p.freelist(free); err != nil {
			return err
		}
	}
	return p.bucket(root[:bucketSize], 0)
}

// readMetas wants both meta pages whole. bbolt is content with one, but the
// other may be the newer: the last transaction would be undone without a word,
// and with it a logout, or the only trace of a spent refresh token.
func readMetas(r io.ReaderAt, length int64) (root []byte, _ *pageFile, err error) {
	var newest uint64
	p := &pageFile{r: r}
	for page := range int64(2) {
		meta := make([]byte, metaSize)
		if _, err := r.ReadAt(meta, page*p.size+pageHeader); err != nil {
			return nil, nil, fmt.Errorf("meta page %d: %w", page, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(meta[:metaSize-8])
		if sum.Sum64() != binary.NativeEndian.Uint64(meta[metaSize-8:]) {
			return nil, nil, fmt.Errorf("meta page %d has a wrong checksum", page)
		}
		size, tx := int64(binary.NativeEndian.Uint32(meta[8:])), binary.NativeEndian.Uint64(meta[48:])
		if size < 1<<10 || size > 1<<24 || bits.OnesCount64(uint64(size)) != 1 || page == 1 && size != p.size {
			return nil, nil, fmt.Errorf("meta page %d tells of pages of %d bytes", page, size)
		}
		p.size = size
		if root == nil || tx > newest {
			root, newest = meta[16:40], tx
			p.used = binary.NativeEndian.Uint64(meta[40:])
		}
	}
	if p.used > uint64(length/p.size) {
		return nil, nil, fmt.Errorf("file ends before page %d of %d", length/p.size, p.used)
	}
	p.seen = make([]bool, p.used)
	copy(p.seen, []bool{true, true}) // the meta pages
	return root, p, nil
}

// page reads a page with its overflow. No page has two parents.
func (p *pageFile) page(id uint64) ([]byte, error) {
	if id >= p.used {
		return nil, fmt.Errorf("page %d is past the end", id)
	}
	head := make([]byte, pageHeader)
	if _, err := p.r.ReadAt(head, int64(id)*p.size); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	span := 1 + uint64(binary.NativeEndian.Uint32(head[12:]))
	if self := binary.NativeEndian.Uint64(head); self != id || span > p.used-id {
		return nil, fmt.Errorf("page %d calls itself %d, of %d pages", id, self, span)
	}
	for i := id; i < id+span; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		p.seen[i] = true
	}
	page := make([]byte, int64(span)*p.size)
	if _, err := p.r.ReadAt(page, int64(id)*p.size); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return page, nil
}

// freelist checks a list of free pages. Ours has none; a new file has an empty
// one, and a file of somebody else may have any; that is to be told from a damaged one.
func (p *pageFile) freelist(id uint64) error {
	page, err := p.page(id)
	if err != nil {
		return err
	}
	h, list := header(page), page[pageHeader:]
	count := uint64(h.count)
	if count == math.MaxUint16 { // too many for the header
		count, list = binary.NativeEndian.Uint64(list), list[8:]
	}
	if h.kind != kindFreelist || count > uint64(len(list)/8) {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	for i := range count {
		free := binary.NativeEndian.Uint64(list[8*i:])
		if free >= p.used || p.seen[free] {
			return fmt.Errorf("page %d is not free", free)
		}
		p.seen[free] = true
	}
	return nil
}

// bucket checks what a bucket's value holds: the page of its root, or its only page.
func (p *pageFile) bucket(value []byte, depth int) error {
	if len(value) < bucketSize {
		return errors.New("bucket is cut short")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return p.tree(root, nil, nil, depth)
	}
	inline := value[bucketSize:]
	if len(inline) < pageHeader || header(inline).kind != kindLeaf {
		return errors.New("bucket inside a page is not a leaf")
	}
	return p.leaf(inline, nil, nil, depth)
}
