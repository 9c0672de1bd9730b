package stack

import (
	"bytes"
	"errors"
	"os/exec"
)

// Command runs the product's binary beside the process, as an operator does.
func (l *Lamplighter) Command(args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(l.t.Context(), l.Binary(), args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		if _, exit := errors.AsType[*exec.ExitError](err); !exit {
			l.t.Fatalf("run lamplighter %q: %v", args, err)
		}
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// Logged is a field of the first line with msg that the newest process has
// logged; empty if there is none.
func (l *Lamplighter) Logged(msg, key string) string { return l.log.field(msg, key) }
