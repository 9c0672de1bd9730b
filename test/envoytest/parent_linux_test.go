package envoytest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/envoytest"
)

// parentMark makes this test binary play the parent that gets killed.
const parentMark = "ENVOYTEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentMark) == "" {
		os.Exit(m.Run())
	}
	e, err := envoytest.Start(context.Background(), envoytest.Options{
		Bootstrap: envoytest.Bare, AuthzAddress: "127.0.0.1:1", AppAddress: "127.0.0.1:1", Concurrency: 1,
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(e.Addr())
	<-e.Done()
	fmt.Println("envoy ended before its parent")
	os.Exit(1)
}

func TestEnvoyDiesWithItsParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), parentMark+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(line)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	conn.Close()

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // "signal: killed"
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-deadline.Done():
			t.Fatal("envoy outlived its parent")
		case <-poll.C:
		}
	}
}
