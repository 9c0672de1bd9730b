//go:build kubernetes

package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the notes tell people to print is printed, by the binary of this checkout, from
// the config that was rendered.
func TestWhatTheNotesSayCanBePrinted(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "lamplighter")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, root+"/cmd/lamplighter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		values string
		prints int
	}{{"standalone-bolt", 3}, {"standalone-redis-ha", 3}, {"everything", 2}, {"sidecar-envoy", 0}, {"sidecar-istio", 1}} {
		notes, err := run(t, "helm", "install", "lamplighter", chartDir, "--namespace", "gateways", "--dry-run=client", ci(tt.values))
		if err != nil {
			t.Fatal(err)
		}
		_, notes, _ = strings.Cut(notes, "NOTES:")
		var text string
		for _, o := range mustRender(t, ci(tt.values)) {
			if found, ok := at(o, "data", "lamplighter.yaml").(string); ok {
				text = found
			}
		}
		file := filepath.Join(t.TempDir(), "lamplighter.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		prints := 0
		for line := range strings.Lines(notes) {
			_, command, ok := strings.Cut(line, "-- /ko-app/lamplighter ")
			if !ok {
				continue
			}
			prints++
			args := strings.Fields(strings.ReplaceAll(command, "/etc/lamplighter/lamplighter.yaml", file))
			if out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "kind:") {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
		if prints != tt.prints {
			t.Errorf("%s: %d commands, want %d:\n%s", tt.values, prints, tt.prints, notes)
		}
	}
}
