package e2e

import "fmt"

// fate is what becomes of a session in a damaged store.
type fate int

const (
	kept       fate = iota // the token is served
	unreadable             // told to come back: the session may exist
	gone                   // asked to log in: the file is set aside
	anew                   // the same, of a file that has nothing to set aside
	notStarted             // the product does not start
)

func (f fate) String() string {
	return [...]string{"kept", "unreadable", "gone", "gone without a word", "not started"}[f]
}

// place is where a file is damaged, and what is wanted of the first user's
// session. All others are kept, but where it is gone.
type place struct {
	name   string
	damage func(*storeFile)
	want   fate
}

func places() []place {
	return append(append(truncations(), pageFlips()...), recordFlips()...)
}

func truncations() (all []place) {
	for _, c := range []struct {
		name string
		to   func(f *storeFile) int
	}{
		{"within the first header", func(*storeFile) int { return 40 }},
		{"to one page", func(f *storeFile) int { return f.page }},
		{"to the meta pages", func(f *storeFile) int { return 2 * f.page }},
		{"to half of the pages in use", func(f *storeFile) int { return f.inUse() / f.page / 2 * f.page }},
		{"a byte short of the last page in use", func(f *storeFile) int { return f.inUse() - 1 }},
		{"within a page, in the middle", func(f *storeFile) int { return f.inUse()/2 + 77 }},
	} {
		all = append(all, place{"cut " + c.name, func(f *storeFile) { f.cut(c.to(f)) }, gone})
	}
	return append(all, place{"cut to nothing", func(f *storeFile) { f.cut(0) }, anew})
}

// pageFlips are of what the file's structure is made of.
func pageFlips() []place {
	at := func(name string, where func(f *storeFile) int) place {
		return place{name, func(f *storeFile) { f.flip(where(f)) }, gone}
	}
	all := []place{
		at("meta page 0", func(*storeFile) int { return atRoot }),
		at("meta page 1", func(f *storeFile) int { return f.page + atRoot }),
		{"both meta pages", func(f *storeFile) { f.flip(atTx); f.flip(f.page + atTx) }, gone},
		at("list of free pages", func(f *storeFile) int { return f.listFree() + atCount + 1 }),
		at("root of all buckets: kind", func(f *storeFile) int { return f.root() + atKind }),
		at("branch: a child", func(f *storeFile) int { return f.branch() + pageHead + 8 }),
		at("branch: a key", func(f *storeFile) int { return f.branch() + pageHead + elementSize*len(f.leaves("sessions")) + 32 }),
		at("leaf: its own number", func(f *storeFile) int { return f.leaf("sessions") + atID }),
		at("leaf: kind", func(f *storeFile) int { return f.leaf("sessions") + atKind }),
		{"leaf: one element less", func(f *storeFile) { f.add(f.leaf("sessions")+atCount, ^uint16(0)) }, gone},
		{"leaf: overflow past the end", func(f *storeFile) { f.add(f.leaf("sessions")+atOverflow, 1000) }, gone},
		at("leaf: where a key begins", func(f *storeFile) int { return f.leaf("sessions") + pageHead + 4 }),
		at("leaf: how long a record is", func(f *storeFile) int { return f.leaf("sessions") + pageHead + 12 }),
		{"version of the format", func(f *storeFile) { at, _ := f.find(f.root(), []byte("version1")); f.flip(at + len("version")) }, notStarted},
	}
	for _, bucket := range []string{"used", "subjects"} {
		all = append(all, at(fmt.Sprintf("leaf of %s: count", bucket), func(f *storeFile) int { return f.leaf(bucket) + atCount }))
	}
	return all
}

// recordFlips are of what the buckets hold.
func recordFlips() []place {
	at := func(name string, want fate, where func(f *storeFile) int) place {
		return place{name, func(f *storeFile) { f.flip(where(f)) }, want}
	}
	return []place{
		at("record: key", gone, func(f *storeFile) int { return f.record() + 31 }),
		at("record: plain head", unreadable, func(f *storeFile) int { return f.inRecord(`"provider"`) + len(`"provider":"h`) }),
		at("record: plain part", unreadable, func(f *storeFile) int { return f.inRecord(`"ends_at"`) }),
		at("record: sealed body", unreadable, func(f *storeFile) int { return f.inRecord(`"ends_at"`) + 200 }),
		at("tombstone: key", kept, func(f *storeFile) int { return f.tombstone() + 5 }),
		at("tombstone: value", kept, func(f *storeFile) int { return f.tombstone() + 32 + 8 }),
		at("last use: time", kept, func(f *storeFile) int {
			at, _ := f.find(f.leaf("used"), f.users[0][:])
			return at + 32 + 7
		}),
		at("last use: key", kept, func(f *storeFile) int {
			at, _ := f.find(f.leaf("used"), f.users[0][:])
			return at + 31
		}),
		at("subject: key", kept, func(f *storeFile) int {
			at, _ := f.find(f.leaf("subjects"), f.users[0][:])
			return at + 31
		}),
	}
}
