package child

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Run runs cmd to its end. The error of a command that failed carries what it
// printed. When ctx is done before, the command is killed, with what it started.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	line := strings.Join(cmd.Args, " ")
	p, err := Start(cmd)
	if err != nil {
		return fmt.Errorf("run %s: %w", line, err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		_ = p.killGroup()
		_ = p.Wait()
		return fmt.Errorf("run %s: %w", line, ctx.Err())
	}
	if err := p.Wait(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", line, err, strings.TrimSpace(out.String()))
	}
	return nil
}
