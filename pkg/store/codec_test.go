package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Two keys: the bytes 0 to 31, and 32 times 0xff.
const (
	keyA = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
	keyB = "b://////////////////////////////////////////8=\n"
)

func keyring(t testing.TB, lines string) *seal.Keyring {
	t.Helper()
	keys, err := seal.ParseKeys([]byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// full is a record with no field left at its zero value. What must not be
// readable without the key says canary.
func full() store.Record {
	at := func(s int) time.Time { return time.Date(2026, 5, 4, 3, 2, s, 123456789, time.UTC) }
	r := store.Record{
		Session: session.Session{
			ID: session.ID{1, 2, 31: 3}, Revision: 7, App: "default", Provider: "https://id.example.com/realms/a",
			Token: session.Token{
				Access:  session.AccessToken{Secret: session.NewSecret("canary-access")},
				Refresh: session.RefreshToken{Secret: session.NewSecret("canary-refresh")},
				ID:      session.IDToken{Secret: session.NewSecret("canary-id")},
				Issued:  at(1), Lifetime: time.Hour + 1,
			},
			Identity: session.Identity{
				Subject: "canary-sub", SID: "canary-sid", Email: "canary@example.com", Name: "Zoë canary \x00\u2028<&>",
				AuthTime: at(2), Claims: map[string]string{"canary-claim": "canary-value"},
			},
			CreatedAt: at(3), EndsAt: at(4), SweepAt: at(5),
		},
		Fence: 9, InDoubt: true, ReplayAt: at(6), NotBefore: at(7), Failures: 2, LastClass: session.Foreign,
		Tries: 3, Committed: store.AttemptID{4, 15: 5}, Used: at(8), DueAt: at(9),
		History: []session.Outcome{
			{At: at(11), By: "sweep", Class: session.Renewed, Revision: 6, Replay: true},
			{At: at(12), By: "request", Class: session.Foreign, Revision: 7},
		},
	}
	r.Attempt = &store.Attempt{
		ID: store.AttemptID{6, 15: 7}, SessionID: r.Session.ID, Revision: 7, Fence: 9, InDoubt: true,
		Tries: 3, Owner: "incarnation", FoundReplayAt: at(10), Began: at(13), By: "operator",
	}
	return r
}

// zeroFields lists the fields of v that are at their zero value.
func zeroFields(path string, v reflect.Value) (paths []string) {
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer:
		return zeroFields(path, v.Elem())
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() && v.Type() != reflect.TypeFor[session.Secret]():
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("store") == "-" {
				continue
			}
			paths = append(paths, zeroFields(path+"."+v.Type().Field(i).Name, v.Field(i))...)
		}
	}
	return paths
}

func TestCodecKeepsEveryField(t *testing.T) {
	t.Parallel()
	if zero := zeroFields("Record", reflect.ValueOf(full())); len(zero) > 0 {
		t.Fatalf("the sample leaves fields unset, so nothing shows that they are kept: %v", zero)
	}
	bare := store.Record{Session: session.Session{ID: session.ID{1}, Revision: 1}}
	here := full()
	here.Session.EndsAt = here.Session.EndsAt.In(time.FixedZone("east", 3600))
	codec := store.NewCodec(keyring(t, keyA))
	for name, r := range map[string]store.Record{"full": full(), "bare": bare, "another time zone": here} {
		encoded, err := codec.Encode(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := codec.Decode(encoded)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := r
		want.Session.EndsAt = want.Session.EndsAt.UTC()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		meta, err := store.DecodeMeta(encoded)
		if wantMeta := (store.Meta{
			ID: want.Session.ID, Revision: want.Session.Revision, DueAt: want.DueAt,
			Exp: want.Session.Token.Exp(), EndsAt: want.Session.EndsAt, Used: want.Used,
		}); err != nil || meta != wantMeta {
			t.Errorf("%s: meta %+v, %v; want %+v", name, meta, err, wantMeta)
		}
	}
}

func TestCodecHidesWhatIsSecretOrPersonal(t *testing.T) {
	t.Parallel()
	codec := store.NewCodec(keyring(t, keyA))
	encoded, err := codec.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	sum := codec.SubjectSum(session.SubjectKey{App: "default", Sub: "canary-sub"})
	if bytes.Contains(bytes.ToLower(slices.Concat(encoded, sum[:])), []byte("canary")) {
		t.Errorf("a token, a name or a claim is in the clear: %q", encoded)
	}
	if !bytes.Contains(encoded, []byte("incarnation")) {
		t.Error("the meta is not in the clear: this test would not see a leak")
	}
}

func TestWithMetaLeavesTheBodyAlone(t *testing.T) {
	t.Parallel()
	codec := store.NewCodec(keyring(t, keyA))
	before := store.NewRecord(full().Session)
	encoded, err := codec.Encode(before)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := codec.WithMeta(encoded, full())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := codec.Decode(changed); err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("got %+v, %v; want %+v", got, err, full())
	}
	_, _, old, _ := store.Unframe(encoded)
	if _, _, sealed, _ := store.Unframe(changed); !bytes.Equal(sealed, old) {
		t.Error("the body was sealed again")
	}
	if _, err := codec.WithMeta(encoded[:20], full()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("WithMeta of a damaged record: %v", err)
	}
}

// Every changed byte is noticed: by the checksum, and where it is right all the
// same, by the seal.
func TestDecodeNoticesEveryChange(t *testing.T) {
	t.Parallel()
	codec := store.NewCodec(keyring(t, keyA))
	encoded, err := codec.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	_, meta, _, err := store.Unframe(encoded)
	if err != nil {
		t.Fatal(err)
	}
	metaFrom := bytes.Index(encoded, meta)
	for i := range encoded {
		bad := bytes.Clone(encoded)
		bad[i] ^= 1
		if _, err := codec.Decode(bad); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("byte %d changed: %v, want ErrUnavailable", i, err)
		}
		if _, err := store.DecodeMeta(bad); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("byte %d changed: DecodeMeta %v, want ErrUnavailable", i, err)
		}
		if _, err := codec.Decode(encoded[:i]); !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("cut to %d bytes: %v, want ErrUnavailable", i, err)
		}
		sealedOrHead := i < metaFrom-4 || i >= metaFrom+len(meta)
		if _, err := codec.Decode(mended(bad)); sealedOrHead && i < len(bad)-4 && !errors.Is(err, session.ErrUnavailable) {
			t.Fatalf("byte %d changed and the checksum mended: %v, want ErrUnavailable", i, err)
		}
	}
}

// mended gives b the checksum it should have.
func mended(b []byte) []byte {
	b = b[:len(b)-4]
	return binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func TestABodyBelongsToItsHead(t *testing.T) {
	t.Parallel()
	codec := store.NewCodec(keyring(t, keyA))
	encode := func(r store.Record) (head, meta, sealed []byte) {
		encoded, err := codec.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		head, meta, sealed, err = store.Unframe(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return head, meta, sealed
	}
	_, meta, sealed := encode(full())
	for name, change := range map[string]func(*session.Session){
		"id":       func(s *session.Session) { s.ID[0]++ },
		"revision": func(s *session.Session) { s.Revision++ },
		"app":      func(s *session.Session) { s.App = "other" },
		"provider": func(s *session.Session) { s.Provider = "https://other.example.com" },
	} {
		other := full()
		change(&other.Session)
		head, _, _ := encode(other)
		if _, err := codec.Decode(store.Frame(head, meta, sealed)); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("the body of a session with another %s: %v, want ErrOpen", name, err)
		}
	}
}

func TestAnotherVersionIsUnavailable(t *testing.T) {
	t.Parallel()
	codec := store.NewCodec(keyring(t, keyA))
	encoded, err := codec.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	encoded[0]++
	_, err = codec.Decode(mended(encoded))
	if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v, want ErrUnavailable that names the version", err)
	}
}

func TestImpossibleRecordsAreUnavailable(t *testing.T) {
	t.Parallel()
	keys := keyring(t, keyA)
	codec := store.NewCodec(keys)
	encoded, err := codec.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	head, meta, sealed, err := store.Unframe(encoded)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := keys.For("session record").Open(sealed, store.AAD(head))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][3]string{ // part, from, to
		"no revision":                {"head", `"revision":7`, `"revision":0`},
		"short id":                   {"head", `"id":"AQI`, `"id":"`},
		"not JSON":                   {"head", `{`, `[`},
		"meta not JSON":              {"meta", `{`, `[`},
		"negative failures":          {"meta", `"failures":2`, `"failures":-2`},
		"negative tries":             {"meta", `"tries":3,"committed`, `"tries":-3,"committed`},
		"unknown class":              {"meta", `"last_class":7`, `"last_class":8`},
		"short attempt id":           {"meta", `"attempt":{"id":"BgAA`, `"attempt":{"id":"`},
		"an attempt past the fences": {"meta", `},"fence":9`, `},"fence":8`},
		"short committed":            {"meta", `"committed":"BAAA`, `"committed":"`},
		"a local time":               {"meta", `Z"`, `+01:00"`},
		"body not JSON":              {"body", `{`, `[`},
		"negative lifetime":          {"body", `"lifetime":3`, `"lifetime":-3`},
		"a token for ages":           {"body", `"issued":"2026`, `"issued":"9999-12-31T23:59:59Z","then":"`},
	}
	for name, tt := range tests {
		h, m, b := string(head), string(meta), string(plain)
		part := map[string]*string{"head": &h, "meta": &m, "body": &b}[tt[0]]
		if !strings.Contains(*part, tt[1]) {
			t.Errorf("%s: %s does not hold %s: %s", name, tt[0], tt[1], *part)
		}
		*part = strings.Replace(*part, tt[1], tt[2], 1)
		_, err := codec.Decode(store.Frame([]byte(h), []byte(m), keys.For("session record").Seal([]byte(b), store.AAD([]byte(h)))))
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

func TestCodecRotatesKeys(t *testing.T) {
	t.Parallel()
	older, both, newer := store.NewCodec(keyring(t, keyA)), store.NewCodec(keyring(t, keyB+keyA)), store.NewCodec(keyring(t, keyB))
	encoded, err := older.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newer.Decode(encoded); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("without its key: %v, want ErrUnavailable because of ErrUnknownKey", err)
	}
	if _, err := store.DecodeMeta(encoded); err != nil {
		t.Errorf("meta without the key: %v", err)
	}
	r, err := both.Decode(encoded)
	if err != nil {
		t.Fatalf("after the rotation: %v", err)
	}
	encoded, err = both.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newer.Decode(encoded); err != nil {
		t.Errorf("written again, its old key gone: %v", err)
	}
}

func TestSubjectSums(t *testing.T) {
	t.Parallel()
	older, both := store.NewCodec(keyring(t, keyA)), store.NewCodec(keyring(t, keyB+keyA))
	seen := make(map[[32]byte]session.SubjectKey)
	for _, k := range []session.SubjectKey{
		{App: "a", Provider: "p", Sub: "x"}, {App: "a", Provider: "p", SID: "x"}, {App: "a", Provider: "px"}, {App: "ap", Sub: "x"},
		{App: "a", Provider: `p","Sub":"x`},
	} {
		sums := slices.Collect(both.SubjectSums(k))
		if want := [][32]byte{both.SubjectSum(k), older.SubjectSum(k)}; !slices.Equal(sums, want) {
			t.Errorf("%+v: sums are not those of each key, the first one first", k)
		}
		for _, sum := range sums {
			if other, ok := seen[sum]; ok {
				t.Errorf("%+v and %+v have the same sum", k, other)
			}
			seen[sum] = k
		}
	}
}

func TestTombstoneCodec(t *testing.T) {
	t.Parallel()
	want := store.Tombstone{Reason: session.ReasonLostAnswer, At: full().DueAt, Until: full().Session.EndsAt, History: full().History}
	encoded, err := store.EncodeTombstone(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := store.DecodeTombstone(encoded); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for i := range encoded {
		bad := bytes.Clone(encoded)
		bad[i] ^= 1
		if _, err := store.DecodeTombstone(bad); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("byte %d changed: %v, want ErrUnavailable", i, err)
		}
	}
	if _, err := store.DecodeTombstone(store.Frame([]byte("[]"), nil, nil)); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("not JSON: %v, want ErrUnavailable", err)
	}
}

// Whatever bytes there are, Decode answers a record or ErrUnavailable.
func FuzzDecode(f *testing.F) {
	codec := store.NewCodec(keyring(f, keyA))
	for _, r := range []store.Record{full(), {Session: session.Session{ID: session.ID{1}, Revision: 1}}} {
		encoded, err := codec.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
		f.Add(encoded[:len(encoded)/2])
		f.Add(encoded[1:])
	}
	f.Add([]byte{})
	f.Add(mended([]byte("\x01\xff\xff\xff\xff\x00\x00\x00\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			decode(t, codec, mended(b)) // past the checksum, which no fuzzer guesses
		}
		decode(t, codec, b)
		if _, err := store.DecodeTombstone(b); err != nil && !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("DecodeTombstone: %v", err)
		}
	})
}

// Whatever a key holder may have written decodes to a record that is encoded to
// the same, or to ErrUnavailable.
func FuzzDecodeParts(f *testing.F) {
	keys := keyring(f, keyA)
	codec := store.NewCodec(keys)
	for _, r := range []store.Record{full(), {Session: session.Session{ID: session.ID{1}, Revision: 1}}} {
		encoded, err := codec.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		head, meta, sealed, err := store.Unframe(encoded)
		if err != nil {
			f.Fatal(err)
		}
		plain, err := keys.For("session record").Open(sealed, store.AAD(head))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(head, meta, plain)
	}
	f.Fuzz(func(t *testing.T, head, meta, plain []byte) {
		decode(t, codec, store.Frame(head, meta, keys.For("session record").Seal(plain, store.AAD(head))))
	})
}

func decode(t *testing.T, codec store.Codec, b []byte) {
	t.Helper()
	r, err := codec.Decode(b)
	if err != nil {
		if !errors.Is(err, session.ErrUnavailable) || !reflect.DeepEqual(r, store.Record{}) {
			t.Fatalf("got %+v, %v; want a zero record and ErrUnavailable", r, err)
		}
		return
	}
	encoded, err := codec.Encode(r)
	if err != nil {
		t.Fatalf("what was decoded does not encode: %v", err)
	}
	again, err := codec.Decode(encoded)
	if err != nil {
		t.Fatalf("what was encoded does not decode: %v", err)
	}
	for _, s := range []*session.Session{&r.Session, &again.Session} {
		if len(s.Identity.Claims) == 0 {
			s.Identity.Claims = nil // an empty map is an absent one
		}
	}
	if !reflect.DeepEqual(again, r) {
		was, _ := json.Marshal(r.Session.Identity)
		t.Fatalf("decoded %+v %s, encoded and decoded again %+v", r, was, again)
	}
}
