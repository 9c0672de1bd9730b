package child

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestRunTellsWhatAFailedCommandPrinted(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), exec.Command("true")); err != nil {
		t.Error(err)
	}
	err := Run(t.Context(), exec.Command("sh", "-c", "echo out; echo err >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3\nout\nerr") {
		t.Errorf("%v, want the exit code and what was printed", err)
	}
	if err := Run(t.Context(), exec.Command("./no such command")); err == nil {
		t.Error("a command that is not there was run")
	}
}

// What the command has started holds its output open: Run comes back only when
// that has ended too.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Run(ctx, exec.Command("sh", "-c", "sleep 600 & sleep 600")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's error", err)
	}
}
