package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/seal"
)

func TestParseKeys(t *testing.T) {
	t.Parallel()
	file := "# first seals\r\n\n  b:" + keyB + "  \r\n\t# old\nA.b_c-0123456789:" + keyA
	keys := ring(t, file)
	if got, want := fmt.Sprint(keys), "keyring b A.b_c-0123456789"; got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
	if got := keys.For("p").SealID(); got != "b" {
		t.Errorf("seals with %q", got)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	raw := strings.TrimSuffix(keyA, "=")
	tests := []struct {
		name, file string
		want       []string // one substring a line of the error
	}{
		{"empty", "", []string{"no key in it"}},
		{"comments only", "# k1:" + keyA + "\n\n", []string{"no key in it"}},
		{"no colon", keyA, []string{"line 1: has no colon; write id:base64"}},
		{"no id", ":" + keyA, []string{"line 1: id is not 1 to 16"}},
		{"long id", "a2345678901234567:" + keyA, []string{"line 1: id is not 1 to 16"}},
		{"odd id", "k 1:" + keyA, []string{"line 1: id is not"}},
		{"swapped", keyA + ":k1", []string{"line 1: id is not"}},
		{"no padding", "k1:" + raw, []string{"line 1: key is not standard base64"}},
		{"url alphabet", "k1:" + strings.ReplaceAll(keyB, "/", "_"), []string{"line 1: key is not standard base64"}},
		{"loose bits", "k1:" + raw[:len(raw)-1] + "9=", []string{"line 1: key is not standard base64"}},
		{"short", "k1:AAECAw==", []string{"line 1: key has 4 bytes; write 32"}},
		{"space inside", "k1: " + keyA, []string{"line 1: key is not standard base64"}},
		{"same id", "k1:" + keyA + "\nk1:" + keyB, []string{"line 2: same id as line 1"}},
		{"same key", "# one\nk1:" + keyA + "\n\nk2:" + keyA, []string{"line 4: same key as line 2"}},
		{
			"all at once", "k1\nk2:" + keyA + "\nk3:x\nk2:" + keyB,
			[]string{"line 1: has no colon", "line 3: key is not", "line 4: same id as line 2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			keys, err := seal.ParseKeys([]byte(tt.file))
			if err == nil || keys != nil {
				t.Fatalf("got %v, %v", keys, err)
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("got %q, want %q", got[i], tt.want[i])
				}
			}
			if text := err.Error(); strings.Contains(text, keyA[:6]) || strings.Contains(text, keyB[:6]) {
				t.Errorf("key material in %q", text)
			}
		})
	}
}

func TestReadKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	hint := `make one with: printf 'k1:%s\n' "$(openssl rand -base64 32)" > ` + path

	_, err := seal.ReadKeys(path)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), hint) {
		t.Errorf("missing file: %v", err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if _, err = seal.ReadKeys(path); err == nil || !strings.Contains(err.Error(), path) || !strings.HasSuffix(err.Error(), hint) {
		t.Errorf("empty file: %v", err)
	}
	write("k1:" + keyA + "\nk2:")
	if _, err = seal.ReadKeys(path); err == nil || !strings.Contains(err.Error(), path+": line 2: ") {
		t.Errorf("wrong file: %v", err)
	}
	write("k1:" + keyA + "\n")
	if keys, err := seal.ReadKeys(path); err != nil || keys.For("p").SealID() != "k1" {
		t.Errorf("good file: %v, %v", keys, err)
	}
}

// Nothing prints a key, whatever the verb and however deep it hides.
func TestRedacts(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1:"+keyB)
	box := keys.For("p")
	type nest struct {
		Ring *seal.Keyring
		Box  *seal.Box
		ring seal.Keyring
		box  seal.Box
		any  any
	}
	deep := nest{keys, box, *keys, *box, struct{ r seal.Keyring }{*keys}}
	var out bytes.Buffer
	for _, v := range []any{keys, *keys, box, *box, deep, &deep, []any{keys, box}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		if encoded, err := json.Marshal(v); err == nil {
			out.Write(encoded)
		}
	}
	text := strings.ToLower(out.String())
	for _, leak := range []string{strings.ToLower(keyB[:8]), "ffffff", "255 255", "0xff, 0xff", `\xff\xff`} {
		if strings.Contains(text, leak) {
			t.Errorf("%q printed", leak)
		}
	}
	if !strings.Contains(text, "keyring k1") {
		t.Error("the key ids are not printed either")
	}
	if _, err := json.Marshal(keys); err == nil {
		t.Error("a keyring was marshalled")
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("k1:" + keyA + "\nk2:" + keyB))
	f.Add([]byte("# \n:\nk:\x00"))
	f.Fuzz(func(t *testing.T, src []byte) {
		keys, err := seal.ParseKeys(src)
		if (keys == nil) == (err == nil) {
			t.Fatalf("got %v, %v", keys, err)
		}
		if err == nil {
			box := keys.For("fuzz")
			if got, err := box.Open(box.Seal(src, nil), nil); err != nil || !bytes.Equal(got, src) {
				t.Errorf("does not open what it sealed: %v", err)
			}
		}
	})
}
