package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", `
external_url: https://app.example.com
provider: {issuer: "https://id.example.com", client_id: app}
session: {keys_file: keys}
store: {memory: {}}
`)
	bad := write("bad.yaml", "external_url: https://app.example.com/path\nstore: {bolt: {path: x}, memory: {}}\nprovidre: {}\n")
	for _, tt := range []struct {
		args     []string
		code     int
		out, err []string // what each stream must hold; none: it must be empty
	}{
		{[]string{"version"}, 0, []string{"lamplighter ", "go1."}, nil},
		{[]string{"--help"}, 0, []string{"check-config", "serve", "schema", "sessions", "version", "Examples:"}, nil},
		{[]string{"serve", "--help"}, 0, []string{"--config", "SIGTERM", "Exit codes"}, nil},
		{[]string{"check-config", "--config", good}, 0, []string{good + " is good"}, nil},
		{[]string{"check-config", "--config", bad}, 2, nil, []string{"lamplighter: ", bad + ":1:", "external_url", "store", bad + ":3:", "providre", "provider", "keys_file"}},
		{[]string{"check-config", "--config", filepath.Join(dir, "none.yaml")}, 2, nil, []string{"none.yaml", "no such file"}},
		{[]string{"check-config"}, 2, nil, []string{"lamplighter: ", "config"}},
		{[]string{"serve"}, 2, nil, []string{"lamplighter: ", "config"}},
		{[]string{"serve", "--confg", good}, 2, nil, []string{"lamplighter: ", "--confg", "lamplighter serve --help"}},
		{[]string{"check-config", "--config", good, "more"}, 2, nil, []string{"lamplighter: ", "more"}},
		{[]string{"srve"}, 2, nil, []string{"lamplighter: ", "srve", "serve"}},
		{[]string{"serve", "--config", bad}, 2, nil, []string{"providre"}},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(tt.args, &stdout, &stderr); code != tt.code {
			t.Errorf("%q: exit code %d, want %d", tt.args, code, tt.code)
		}
		for _, stream := range []struct {
			name, got string
			want      []string
		}{{"stdout", stdout.String(), tt.out}, {"stderr", stderr.String(), tt.err}} {
			for _, want := range stream.want {
				if !strings.Contains(stream.got, want) {
					t.Errorf("%q: %s does not say %q:\n%s", tt.args, stream.name, want, stream.got)
				}
			}
			if stream.want == nil && stream.got != "" {
				t.Errorf("%q: %s is not empty: %s", tt.args, stream.name, stream.got)
			}
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"schema"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var schema map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &schema); err != nil || schema["$schema"] == nil {
		t.Errorf("not a JSON Schema: %v\n%s", err, &stdout)
	}
}
