package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/installed"
)

// Who reads which Envoys are supported reads the ones that the tests run.
func TestTestedEnvoys(t *testing.T) {
	t.Parallel()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "envoy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := envoytest.Versions()
	last := len(all) - 1
	want := "Tested on Envoy " + strings.Join(all[:last], ", ") + " and " + all[last] + "."
	if !strings.Contains(string(page), want) {
		t.Errorf("envoy/README.md does not say %q", want)
	}
}
