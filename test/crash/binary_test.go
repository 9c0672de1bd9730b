//go:build crash

package crash

import (
	"bytes"
	"os"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

// What is shipped cannot be told to kill itself.
func TestShippedBinaryHasNoCrashPoints(t *testing.T) {
	t.Parallel()
	for _, inside := range []bool{false, true} { // the other one shows that they would be found
		s := stack.Prepare(t, stack.Options{Plain: !inside, CrashPoints: inside})
		binary, err := os.ReadFile(s.Lamplighter.Binary())
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []string{"CRASH_POINT_FILE", "pkg/app.mortal"} {
			if got := bytes.Contains(binary, []byte(sign)); got != inside {
				t.Errorf("with the build tag: %v, has %s: %v", inside, sign, got)
			}
		}
	}
}
