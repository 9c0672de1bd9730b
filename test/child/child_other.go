//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// bindToParent can only keep the terminal's signals away: no death signal here.
func bindToParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
}

func awaitStop(int) {}
