//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// bindToParent can only keep the terminal's signals away: no death signal here.
func bindToParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
