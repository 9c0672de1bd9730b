package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrintEnvoy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lamplighter.yaml")
	text := "external_url: https://app.example.com\nprovider: {issuer: \"https://id.example.com\", client_id: app}\nsession: {keys_file: keys}\nstore: {memory: {}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := lamp("print", "envoy", "--config", file, "--listen", "0.0.0.0:443", "--app", "shop:3000")
	if code != 0 || stderr != "" || !strings.Contains(stdout, `{address: "0.0.0.0", port_value: 443}`) || !strings.Contains(stdout, `{address: "shop", port_value: 3000}`) {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = lamp("print", "envoy", "--config", file, "--listen", "443")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "listen at 443") || !strings.Contains(stderr, "write host:port") {
		t.Errorf("a port alone: %d %s %s", code, stdout, stderr)
	}
	if code, _, stderr = lamp("print", "nginx"); code != exitUsage {
		t.Errorf("what cannot be printed: %d %s", code, stderr)
	}
}
