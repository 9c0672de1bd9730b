package providers

import (
	"strings"
	"testing"
)

func TestMissingToolSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := need("node", "mvn")
	if err == nil || !strings.Contains(err.Error(), "install Node.js 20 or newer: node is not on PATH\ninstall Maven 3: mvn is not on PATH") {
		t.Errorf("%v", err)
	}
}
