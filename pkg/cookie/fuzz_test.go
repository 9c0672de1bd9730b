package cookie_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

// References that share no code with the package: where a cookie of ours can
// start, by regular expression, and what an application makes of the header, by
// net/http.
var (
	rawOurs    = regexp.MustCompile(`(?:^|;)[ \t]*__Host-bff_(?:session|login_[^=;]*?)[ \t]*(?:[=;]|$)`)
	mergedOurs = regexp.MustCompile(`(?:^|[;,])[ \t]*__Host-bff_(?:session|login_[^=;,]*?)[ \t]*(?:[=;,]|$)`)
)

func FuzzStrip(f *testing.F) {
	for _, seed := range []string{
		"", "a=1", ours + "=H", "a=1; b=2\n" + ours + "=H\nc=3",
		"a=1," + ours + "=H; b=2", ours + "=H,c=3", "a=1," + ours + "=H,c=3",
		`a="x; ` + ours + `=H; b=y"`, ";; ;" + ours + "=H;; ;a=1; ; b=2; ",
		"a=1;\t" + ours + "\t=\tH\t;\tb=2", ours, "x=" + ours + "=H", ours + "2=H",
		login + "abcdefgh=S; " + login + "x=T,a=1,", "=x; =; a=\xff; \x00=1", "a=1,,;,; ,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		lines := strings.Split(in, "\n")
		out, changed := cookie.Raw(lines).Strip(isOurs)
		mustHold(t, cookie.Raw(lines), cookie.Raw([]string{out}), out, changed, rawOurs, lines)
		if got, want := crumbs([]string{out}, ";"), others(crumbs(lines, ";")); !slices.Equal(got, want) {
			t.Errorf("others changed: %q -> %q", want, got)
		}
		if got, want := served([]string{out}), others(served(lines)); tellable(in) && !slices.Equal(got, want) {
			t.Errorf("net/http sees %q, want %q", got, want)
		}

		merged := strings.Join(lines, ",")
		out, changed = cookie.Merged(merged).Strip(isOurs)
		mustHold(t, cookie.Merged(merged), cookie.Merged(out), out, changed, mergedOurs, []string{merged})
		if got, want := crumbs([]string{out}, ";,"), others(crumbs([]string{merged}, ";,")); !slices.Equal(got, want) {
			t.Errorf("merged: others changed: %q -> %q", want, got)
		}
		if !strings.Contains(merged, ",") {
			if raw, _ := cookie.Raw([]string{merged}).Strip(isOurs); raw != out {
				t.Errorf("without a comma: raw %q, merged %q", raw, out)
			}
		}
	})
}

func mustHold(t *testing.T, in, again cookie.Header, out string, changed bool, re *regexp.Regexp, lines []string) {
	t.Helper()
	if re.MatchString(out) {
		t.Errorf("ours left in %q", out)
	}
	if want := slices.ContainsFunc(lines, re.MatchString); changed != want {
		t.Errorf("changed = %v, want %v for %q", changed, want, lines)
	}
	for v := range again.Find(ours) {
		t.Errorf("found %q in %q", v, out)
	}
	if twice, more := again.Strip(isOurs); twice != out || more {
		t.Errorf("not idempotent: %q -> %q", out, twice)
	}
	for v := range in.Find(ours) {
		if !changed {
			t.Errorf("found %q but stripped nothing", v)
		}
	}
}

// crumbs splits at any of the separators and drops what is blank.
func crumbs(lines []string, separators string) (all []string) {
	for _, line := range lines {
		for _, c := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if c = strings.Trim(c, " \t"); c != "" {
				all = append(all, c)
			}
		}
	}
	return all
}

// tellable leaves out what net/http reads differently on purpose: it gives up
// on thousands of cookies, and it trims a CR, which no server lets through.
func tellable(in string) bool {
	return !strings.Contains(in, "\r") && strings.Count(in, "\n")+strings.Count(in, ";") < 2000
}

// served lists what an application on net/http reads.
func served(lines []string) (all []string) {
	for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).Cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	return all
}

func others(all []string) []string {
	return slices.DeleteFunc(all, func(c string) bool {
		name, _, _ := strings.Cut(c, "=")
		return isOurs(strings.TrimRight(name, " \t"))
	})
}
