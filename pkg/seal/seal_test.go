package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/seal"
)

// Two keys: the bytes 0 to 31, and 32 times 0xff.
const (
	keyA = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	keyB = "//////////////////////////////////////////8="
)

// pinned is "lamp" under key A, id a, purpose "test", aad "aad".
const (
	pinned    = "0161c0b2a977101e117ab1353cd86b069645c193cb25bff1edaf212f7676d5100a4b9dd916eacd03c48cb3cf7fdc"
	pinnedSum = "7cc5c705428278b8f0855454eeeda18c495655380459cd85ac7bbca8e028e2ac"
)

func ring(t testing.TB, file string) *seal.Keyring {
	t.Helper()
	r, err := seal.ParseKeys([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	box := ring(t, "a:"+keyA).For("test")
	for _, plain := range [][]byte{nil, {0}, []byte("a refresh token"), bytes.Repeat([]byte("x"), 1<<16)} {
		sealed := box.Seal(plain, []byte("aad"))
		if want := 1 + 1 + 24 + len(plain) + 16; len(sealed) != want {
			t.Errorf("%d bytes sealed, want %d", len(sealed), want)
		}
		if !bytes.HasPrefix(sealed, []byte("\x01a")) {
			t.Errorf("sealed value does not start with its key id: %x", sealed[:4])
		}
		if len(plain) > 4 && bytes.Contains(sealed, plain) {
			t.Error("plaintext shows")
		}
		got, err := box.Open(sealed, []byte("aad"))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open = %q, %v; want %q", got, err, plain)
		}
		if bytes.Equal(sealed, box.Seal(plain, []byte("aad"))) {
			t.Error("sealed twice to the same bytes")
		}
	}
}

// A value sealed once must open for ever: this one pins format and derivation.
func TestOldValueOpens(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString(pinned)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ring(t, "a:"+keyA).For("test").Open(sealed, []byte("aad"))
	if err != nil || string(got) != "lamp" {
		t.Errorf("Open = %q, %v", got, err)
	}
	sum := ring(t, "a:"+keyA).For("test").Sum([]byte("lamp"))
	if got := hex.EncodeToString(sum[:]); got != pinnedSum {
		t.Errorf("Sum = %s, want %s", got, pinnedSum)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	keys := ring(t, "a:"+keyA+"\nb:"+keyB)
	box := keys.For("test")
	sealed := box.Seal([]byte("plain"), []byte("aad"))
	edit := func(at int, to byte) []byte {
		s := bytes.Clone(sealed)
		s[at] = to
		return s
	}
	tests := []struct {
		name   string
		box    *seal.Box
		sealed []byte
		aad    string
		want   error
	}{
		{"empty", box, nil, "aad", seal.ErrOpen},
		{"other aad", box, sealed, "aae", seal.ErrOpen},
		{"no aad", box, sealed, "", seal.ErrOpen},
		{"other purpose", keys.For("test2"), sealed, "aad", seal.ErrOpen},
		{"key id of another key", box, edit(1, 'b'), "aad", seal.ErrOpen},
		{"same key under another id", ring(t, "c:"+keyA).For("test"), edit(1, 'c'), "aad", seal.ErrOpen},
		{"unknown key", ring(t, "b:"+keyB).For("test"), sealed, "aad", seal.ErrUnknownKey},
		{"unknown id", box, edit(1, 'z'), "aad", seal.ErrUnknownKey},
		{"id not an id", box, edit(1, '\n'), "aad", seal.ErrOpen},
		{"id too long", box, edit(0, 17), "aad", seal.ErrOpen},
		{"id longer than the value", box, []byte("\x10abc"), "aad", seal.ErrOpen},
		{"no id", box, edit(0, 0), "aad", seal.ErrOpen},
		{"nonce cut", box, sealed[:10], "aad", seal.ErrOpen},
		{"tag cut", box, sealed[:len(sealed)-1], "aad", seal.ErrOpen},
		{"nothing but a nonce", box, sealed[:26], "aad", seal.ErrOpen},
		{"longer", box, append(bytes.Clone(sealed), 0), "aad", seal.ErrOpen},
		{"nonce edited", box, edit(5, sealed[5]^1), "aad", seal.ErrOpen},
		{"body edited", box, edit(27, sealed[27]^1), "aad", seal.ErrOpen},
	}
	for _, tt := range tests {
		got, err := tt.box.Open(tt.sealed, []byte(tt.aad))
		if !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s: Open = %q, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// The boundary between the key id and the aad must be authenticated too.
func TestIDAndAADDoNotRunTogether(t *testing.T) {
	t.Parallel()
	short, long := ring(t, "a:"+keyA).For("test"), ring(t, "aa:"+keyA).For("test")
	sealed := short.Seal([]byte("plain"), []byte("aX"))
	moved := append([]byte("\x02aa"), sealed[2:]...)
	if _, err := long.Open(moved, []byte("X")); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("got %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	older, both, newer := ring(t, "a:"+keyA).For("p"), ring(t, "b:"+keyB+"\na:"+keyA).For("p"), ring(t, "b:"+keyB).For("p")
	if older.SealID() != "a" || both.SealID() != "b" {
		t.Errorf("seal ids %q %q", older.SealID(), both.SealID())
	}
	if got, err := both.Open(older.Seal([]byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Errorf("an old value: %q, %v", got, err)
	}
	if got, err := newer.Open(both.Seal([]byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Errorf("a new value after the old key is gone: %q, %v", got, err)
	}
	sums := slices.Collect(both.Sums([]byte("sub")))
	if want := [][32]byte{newer.Sum([]byte("sub")), older.Sum([]byte("sub"))}; !slices.Equal(sums, want) {
		t.Errorf("Sums = %x, want %x", sums, want)
	}
	if both.Sum([]byte("sub")) != sums[0] {
		t.Error("Sum is not the first of Sums")
	}
	for range both.Sums(nil) {
		break // must stop without a panic
	}
}

func TestSumsDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[[32]byte]string)
	for _, keys := range []string{"a:" + keyA, "a:" + keyB} {
		for _, purpose := range []string{"p", "q"} {
			for _, value := range []string{"", "x", "y"} {
				sum, what := ring(t, keys).For(purpose).Sum([]byte(value)), purpose+value
				if other, ok := seen[sum]; ok {
					t.Errorf("%q and %q have the same sum", what, other)
				}
				seen[sum] = what
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	box := ring(t, "b:"+keyB+"\na:"+keyA).For("p")
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			for range 50 {
				plain := []byte{i}
				if got, err := box.Open(box.Seal(plain, plain), plain); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d: %v, %v", i, got, err)
				}
				box.Sum(plain)
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	box := ring(f, "a:"+keyA).For("test")
	f.Add(box.Seal([]byte("plain"), nil), []byte(nil))
	f.Add([]byte("\x01a"), []byte("aad"))
	f.Add([]byte("\xff"), []byte(nil))
	f.Add([]byte{0}, []byte(nil))
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		plain, err := box.Open(sealed, aad)
		if err != nil && !errors.Is(err, seal.ErrOpen) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("another error: %v", err)
		}
		if err != nil && plain != nil {
			t.Errorf("text with an error: %q", plain)
		}
	})
}

// A box follows the keys of its ring; keys that would lose what was just sealed are refused.
func TestReplace(t *testing.T) {
	t.Parallel()
	first, second := "a:"+keyA+"\n", "b:"+keyB+"\n"
	parse := func(text string) *seal.Keyring {
		t.Helper()
		ring, err := seal.ParseKeys([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	ring := parse(first)
	box := ring.For("p")
	old, sum := box.Seal([]byte("old"), nil), box.Sum([]byte("x"))
	for what, next := range map[string]string{"the first key is gone": second, "another key under its id": "a:" + keyB + "\n"} {
		if err := ring.Replace(parse(next)); err == nil || !strings.Contains(err.Error(), "a, under which") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := box.Open(old, nil); err != nil || box.SealID() != "a" {
		t.Fatalf("refused, and not without effect: %v, %s", err, box.SealID())
	}
	if err := ring.Replace(parse(second + first)); err != nil {
		t.Fatal(err)
	}
	if got, err := box.Open(old, nil); err != nil || string(got) != "old" {
		t.Errorf("what the old key sealed: %q, %v", got, err)
	}
	newer := box.Seal([]byte("new"), nil)
	if got, err := parse(second).For("p").Open(newer, nil); err != nil || string(got) != "new" || box.SealID() != "b" {
		t.Errorf("what the new key sealed: %q, %v", got, err)
	}
	if sums := slices.Collect(box.Sums([]byte("x"))); len(sums) != 2 || sums[1] != sum {
		t.Errorf("sums %x, want the old one %x last", sums, sum)
	}
	if err := ring.Replace(parse(second + "a:" + strings.Repeat("A", 43) + "=\n")); err == nil || !strings.Contains(err.Error(), "a is another key than before") {
		t.Errorf("another key by the id of one that only opens: %v", err)
	}
	if ring.String() != "keyring b a" {
		t.Errorf("%s", ring)
	}
	if err := ring.Replace(parse(second)); err != nil || ring.String() != "keyring b" {
		t.Errorf("without the old key: %v, %s", err, ring)
	}
}

func TestReplaceWhileSealing(t *testing.T) {
	t.Parallel()
	first, second := "a:"+keyA+"\n", "b:"+keyB+"\n"
	ring, err := seal.ParseKeys([]byte(first + second))
	if err != nil {
		t.Fatal(err)
	}
	box := ring.For("p")
	var sealing sync.WaitGroup
	for range 4 {
		sealing.Go(func() {
			for range 2000 {
				if _, err := box.Open(box.Seal([]byte("x"), nil), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		next, err := seal.ParseKeys([]byte(map[bool]string{true: first + second, false: second + first}[i%2 == 0]))
		if err == nil {
			err = ring.Replace(next)
		}
		if err != nil {
			t.Error(err)
		}
	}
	sealing.Wait()
}
