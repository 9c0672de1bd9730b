package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHILD_BUSY") == "" {
		os.Exit(m.Run())
	}
	for range 2 {
		go func() {
			for {
			}
		}()
	}
	fmt.Println("busy")
	for {
	}
}

// A program with threads that are all at work: none is after SIGSTOP.
func TestAStoppedProcessStands(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CHILD_BUSY=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop(0)
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		if err != nil || len(threads) < 2 {
			t.Fatalf("threads %q, %v", threads, err)
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			_, after, _ := bytes.Cut(text, []byte(") "))
			if err != nil || !bytes.HasPrefix(after, []byte("T")) {
				t.Fatalf("%s: %s, %v", thread, text, err)
			}
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}
