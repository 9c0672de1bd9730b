package cookie_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

const (
	ours   = "__Host-bff_session"
	login  = "__Host-bff_login_"
	handle = "Zm9vYmFyYmF6cXV4LTAxMjM0NTY3ODlfYWJjZGVmZ2g"
)

func isOurs(name string) bool { return name == ours || strings.HasPrefix(name, login) }

func TestRaw(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		found []string
		left  string
	}{
		{"none", nil, nil, ""},
		{"empty line", []string{""}, nil, ""},
		{"only ours", []string{ours + "=H"}, []string{"H"}, ""},
		{"first", []string{ours + "=H; a=1; b=2"}, []string{"H"}, "a=1; b=2"},
		{"middle", []string{"a=1; " + ours + "=H; b=2"}, []string{"H"}, "a=1; b=2"},
		{"last", []string{"a=1; b=2; " + ours + "=H"}, []string{"H"}, "a=1; b=2"},
		{"own line", []string{"a=1", ours + "=H", "b=2"}, []string{"H"}, "a=1; b=2"},
		{"lines join", []string{"a=1; b=2", "c=3"}, nil, "a=1; b=2; c=3"},
		{"twice", []string{ours + "=H; a=1; " + ours + "=I", ours + "=J"}, []string{"H", "I", "J"}, "a=1"},
		{"no space after semicolon", []string{"a=1;" + ours + "=H;b=2;c=3"}, []string{"H"}, "a=1; b=2;c=3"},
		{"tabs", []string{"a=1;\t" + ours + "\t=\tH\t;\tb=2"}, []string{"H"}, "a=1; b=2"},
		{"spaces", []string{"  " + ours + " = H  ;   a = 1 "}, []string{"H"}, "a = 1"},
		{"empty crumbs", []string{";; ;" + ours + "=H;; ;a=1; ; b=2; "}, []string{"H"}, "a=1; ; b=2"},
		{"nothing but crumbs left", []string{"; " + ours + "=H ;\t;", " ; "}, []string{"H"}, ""},
		{"quoted value", []string{ours + `="H"; a="x y"`}, []string{`"H"`}, `a="x y"`},
		{"semicolon in quotes of others stays", []string{`a="x;y"; ` + ours + `=H`}, []string{"H"}, `a="x;y"`},
		{"quotes hide nothing", []string{`a="x; ` + ours + `=H; b=y"`}, []string{"H"}, `a="x; b=y"`},
		{"empty value", []string{ours + "=; a=1"}, []string{""}, "a=1"},
		{"name alone", []string{ours + "; a=1; a"}, nil, "a=1; a"},
		{"equals in value", []string{ours + "=H==; a=b=c"}, []string{"H=="}, "a=b=c"},
		{"case", []string{"__host-bff_session=H; __HOST-BFF_SESSION=H"}, nil, "__host-bff_session=H; __HOST-BFF_SESSION=H"},
		{"prefix of ours", []string{"__Host-bff_sessio=1; __Host-bff=2; _=3"}, nil, "__Host-bff_sessio=1; __Host-bff=2; _=3"},
		{"ours is a prefix", []string{ours + "2=H; " + ours + "_=1"}, nil, ours + "2=H; " + ours + "_=1"},
		{"our name in a value", []string{"x=" + ours + "=H; y=" + ours}, nil, "x=" + ours + "=H; y=" + ours},
		{"comma is part of a value", []string{"a=1," + ours + "=H; b=2"}, nil, "a=1," + ours + "=H; b=2"},
		{"family", []string{login + "abcdefgh=S; a=1; " + login + "ijklmnop=T"}, nil, "a=1"},
		{"foreign bytes", []string{"a=\xff\xfe\x80; " + ours + "=H; \x01=é"}, []string{"H"}, "a=\xff\xfe\x80; \x01=é"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, cookie.Raw(tt.lines), tt.found, tt.left)
		})
	}
}

func TestMerged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value string
		found []string
		left  string
	}{
		{"one line", "a=1; " + ours + "=H; b=2", []string{"H"}, "a=1; b=2"},
		{"after a comma", "a=1," + ours + "=H; b=2", []string{"H"}, "a=1; b=2"},
		{"before a comma", ours + "=H,c=3", []string{"H"}, "c=3"},
		{"between commas", "a=1," + ours + "=H,c=3", []string{"H"}, "a=1; c=3"},
		{"comma and space", "a=1, " + ours + "=H, c=3", []string{"H"}, "a=1; c=3"},
		{"two of ours", ours + "=H," + ours + "=I", []string{"H", "I"}, ""},
		{"end of a line", "a=1; " + ours + "=H,b=2; c=3", []string{"H"}, "a=1; b=2; c=3"},
		{"commas of others stay", "a=1,2,,3; " + ours + "=H; b=x,y=z,", []string{"H"}, "a=1,2,,3; b=x,y=z,"},
		{"nothing of ours", "a=1; b=2,c=3", nil, "a=1; b=2,c=3"},
		{"our name in a value", "a=1,x=" + ours + "=H", nil, "a=1,x=" + ours + "=H"},
		{"longer name after a comma", "a=1," + ours + "2=H", nil, "a=1," + ours + "2=H"},
		{"empty lines", "," + ours + "=H,,", []string{"H"}, ","},
		{"family", "a=1," + login + "abcdefgh=S,b=2", nil, "a=1; b=2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, cookie.Merged(tt.value), tt.found, tt.left)
		})
	}
}

func check(t *testing.T, h cookie.Header, found []string, left string) {
	t.Helper()
	if got := slices.Collect(h.Find(ours)); !slices.Equal(got, found) {
		t.Errorf("Find = %q, want %q", got, found)
	}
	joined, changed := h.Strip(isOurs)
	if joined != left {
		t.Errorf("Strip = %q, want %q", joined, left)
	}
	untouched, same := h.Strip(func(string) bool { return false })
	if same {
		t.Errorf("Strip of nothing says changed")
	}
	if want := untouched != left; changed != want {
		t.Errorf("changed = %v, want %v (all: %q, left: %q)", changed, want, untouched, left)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	h := cookie.Raw([]string{"a=1; " + login + "a=S", login + "b; " + ours + "=H; c=3"})
	var got []string
	for name, value := range h.Match(isOurs) {
		got = append(got, name+" "+value)
	}
	if want := []string{login + "a S", ours + " H"}; !slices.Equal(got, want) {
		t.Errorf("Match = %q, want %q", got, want)
	}
	for name := range h.Match(isOurs) {
		if name != login+"a" {
			t.Errorf("Match went on after break: %q", name)
		}
		break
	}
	for value := range cookie.Raw([]string{ours + "=H; " + ours + "=I"}).Find(ours) {
		if value != "H" {
			t.Errorf("Find went on after break: %q", value)
		}
		break
	}
}

// The hot path: every request of every signed-in user runs it.
func TestAllocations(t *testing.T) {
	lines := []string{"theme=dark; lang=en; " + ours + "=" + handle}
	absent := []string{"theme=dark; lang=en", "a=b"}
	merged := "theme=dark,lang=en; " + ours + "=" + handle
	tests := []struct {
		name string
		run  func() int
		want int
	}{
		{"find", func() int { return count(cookie.Raw(lines)) }, 1},
		{"absent", func() int { return count(cookie.Raw(absent)) }, 0},
		{"merged", func() int { return count(cookie.Merged(merged)) }, 1},
		{"strip", func() int {
			left, _ := cookie.Raw(lines).Strip(isOurs)
			return len(left)
		}, len("theme=dark; lang=en")},
	}
	for _, tt := range tests {
		if got := tt.run(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
		if n := testing.AllocsPerRun(100, func() { tt.run() }); n != 0 {
			t.Errorf("%s: %v allocations, want none", tt.name, n)
		}
	}
}

func count(h cookie.Header) (n int) {
	for range h.Find(ours) {
		n++
	}
	return n
}

func BenchmarkFindAndStrip(b *testing.B) {
	lines := []string{"theme=dark; lang=en; " + ours + "=" + handle + "; _ga=GA1.2.3.4"}
	b.ReportAllocs()
	for b.Loop() {
		h := cookie.Raw(lines)
		if count(h) != 1 {
			b.Fatal("lost")
		}
		h.Strip(isOurs)
	}
}
