package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/config"
)

func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, src := range []string{
		"", base, string(full), "a: [1\n", "? a\n: b\n", "app: &a x\nlog: *a", "- a\n- b", "---\na: 1\n---\nb: 2",
		"%YAML 1.2\n---\na: 1\n", base + "rules: [null, {}, {match: {path_prefix: /}}]", "{a: {b: {c: [", "app: |\n  x\n",
		base + "headers: {claims: {\"\": x, a: \"\", b.c: X-Y}}", "<<: {a: 1}", "a: !!binary x", "null: ~", "~", "\ufeffapp: x\r\n",
	} {
		f.Add(src, "300s")
	}
	f.Fuzz(func(t *testing.T, src, value string) {
		environ := []string{"LAMPLIGHTER_SESSION_IDLE=" + value, "LAMPLIGHTER_EXTERNAL_URL=" + value, "LAMPLIGHTER_" + value}
		for _, env := range [][]string{nil, environ} {
			c, err := config.Parse([]byte(src), env)
			if err == nil {
				if c.Provider.Issuer == "" || c.Session.KeysFile == "" || (c.Store.Bolt == nil) == (c.Store.Memory == nil) {
					t.Errorf("accepted without what is required: %+v", c)
				}
				continue
			}
			wrong, ok := errors.AsType[*config.Error](err)
			if !ok || len(wrong.Complaints) == 0 {
				t.Fatalf("another error: %v", err)
			}
			for _, complaint := range wrong.Complaints {
				mustBeClear(t, src, complaint)
			}
		}
	})
}

func mustBeClear(t *testing.T, src string, c config.Complaint) {
	t.Helper()
	inFile := c.Line >= 1 && c.Line <= strings.Count(src, "\n")+strings.Count(src, "\r")+1 && c.Column >= 1
	if inFile == (c.Env != "") {
		t.Errorf("no position: %+v", c)
	}
	if c.Problem == "" || c.Fix == "" {
		t.Errorf("says too little: %+v", c)
	}
	if c.Env == "" && strings.Contains(c.String(), "\n") {
		t.Errorf("more than one line: %q", c.String())
	}
}
