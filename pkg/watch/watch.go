package watch

import (
	"crypto/sha256"
	"io"
	"os"
)

// mostBytes of a file count: those that are watched are small, and one that is not
// must not be read for long.
const mostBytes = 4 << 20

// Files are what is watched. The zero value watches none. It is for one goroutine at a
// time.
type Files struct{ seen map[string][sha256.Size]byte }

// Watch makes the named files those that are watched. Of one that was not watched
// before, what it holds now is no change: call Watch before the file is read.
func (f *Files) Watch(names ...string) {
	seen := make(map[string][sha256.Size]byte, len(names))
	for _, name := range names {
		sum, known := f.seen[name]
		if !known {
			sum = content(name)
		}
		seen[name] = sum
	}
	f.seen = seen
}

// Changed tells whether a file holds something else than when that was last asked. One
// that cannot be read holds something too: nothing.
func (f *Files) Changed() (changed bool) {
	for name, before := range f.seen {
		if now := content(name); now != before {
			f.seen[name], changed = now, true
		}
	}
	return changed
}

// content of what is no file, such as a pipe, is nothing: it could be read once only.
func content(name string) (sum [sha256.Size]byte) {
	if is, err := os.Stat(name); err != nil || !is.Mode().IsRegular() {
		return sum
	}
	f, err := os.Open(name)
	if err != nil {
		return sum
	}
	defer f.Close()
	all := sha256.New()
	if _, err := io.Copy(all, io.LimitReader(f, mostBytes)); err != nil {
		return sum
	}
	return [sha256.Size]byte(all.Sum(nil))
}
