package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is one running program. Its methods may be called by any goroutine.
type Process struct {
	proc *os.Process
	done chan struct{} // closed after the process was waited for
	exit error         // written before done is closed
}

// Start starts cmd, to whose SysProcAttr it adds.
func Start(cmd *exec.Cmd) (*Process, error) {
	bindToParent(cmd)
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go p.own(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// own keeps one thread from the start of the process to its end: the kernel
// binds the death signal to the thread that started the child, not to the process.
func (p *Process) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := cmd.Start()
	p.proc = cmd.Process
	started <- err
	if err == nil {
		p.exit = cmd.Wait()
	}
}

// Pid of the process.
func (p *Process) Pid() int { return p.proc.Pid }

// Signal sends s; an error means that the process has ended. After SIGSTOP no thread of
// it runs any more.
func (p *Process) Signal(s syscall.Signal) error {
	err := p.proc.Signal(s)
	if err == nil && s == syscall.SIGSTOP {
		awaitStop(p.proc.Pid)
	}
	return err
}

// Done is closed when the process has ended, by Stop or by itself.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns how the process ended: nil for exit code 0, else *exec.ExitError.
func (p *Process) Wait() error {
	<-p.done
	return p.exit
}

// Stop ends the process: SIGTERM, and after grace SIGKILL. It returns like Wait.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.Signal(syscall.SIGTERM) // an error means that it has already ended
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		_ = p.proc.Kill()
	}
	return p.Wait()
}

// killGroup ends the process and what it has started: all of one process group.
func (p *Process) killGroup() error { return syscall.Kill(-p.Pid(), syscall.SIGKILL) }
