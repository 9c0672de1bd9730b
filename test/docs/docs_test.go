// Package docs runs the commands that the documentation tells people to type: a
// command that stopped working is a defect of the page.
package docs

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/installed"
	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

var block = regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$")

// page is one document, run in a folder of its own that has the checkout's bin/.
type page struct {
	t    *testing.T
	root string // of the checkout
	dir  string
}

func TestCommands(t *testing.T) {
	t.Parallel()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.DependOn(root); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "envoy/README.md", "test/README.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := page{t: t, root: root, dir: t.TempDir()}
			if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "bin"), filepath.Join(p.dir, "bin")); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			ran := 0
			for _, m := range block.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "yaml" {
					p.config(m[2])
					continue
				}
				for line := range strings.Lines(m[2]) {
					p.run(strings.TrimSpace(line))
					ran++
				}
			}
			if ran == 0 {
				t.Error("no command found in the page")
			}
		})
	}
}

// config keeps a yaml block that is a whole lamplighter.yaml.
func (p page) config(yaml string) {
	p.t.Helper()
	if strings.Contains(yaml, "external_url:") {
		if err := os.WriteFile(filepath.Join(p.dir, "lamplighter.yaml"), []byte(yaml), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p page) run(line string) {
	p.t.Helper()
	command, _, _ := strings.Cut(line, "#")
	switch command = strings.TrimSpace(command); {
	case command == "":
	case command == "make demo", command == "make demo-replicas":
		p.until(p.root, command, "ready: http://", syscall.SIGINT)
	case command != "make envoy" && strings.HasPrefix(command, "make "):
		// A suite, which takes minutes, and of which one runs this.
		p.succeeds(p.root, "make --dry-run "+strings.TrimPrefix(command, "make "))
	case strings.Contains(command, " serve "):
		p.until(p.dir, "LAMPLIGHTER_LISTEN_CHECK=127.0.0.1:0 LAMPLIGHTER_LISTEN_ADMIN=127.0.0.1:0 exec "+command, `"msg":"listening"`, syscall.SIGTERM)
	case strings.Contains(command, " sessions copy "):
		p.atRedis("replicas.yaml")
		p.succeeds(p.dir, command)
	case strings.Contains(command, " sessions "): // none runs here (test/e2e has one), so it fails, but not as a wrong call does
		p.succeeds(p.dir, command+" || [ $? -eq 1 ]")
	case command == "make envoy", strings.Contains(command, "go build"), strings.Contains(command, "go run"):
		p.succeeds(p.root, command)
	default:
		p.succeeds(p.dir, command)
	}
}

// atRedis makes the server of the page's examples a real one.
func (p page) atRedis(config string) {
	p.t.Helper()
	path := filepath.Join(p.dir, config)
	text, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	const example = "redis:6379"
	if !bytes.Contains(text, []byte(example)) {
		p.t.Errorf("%s does not name %s:\n%s", config, example, text)
	}
	text = bytes.ReplaceAll(text, []byte(example), []byte(redistest.Start(p.t).Addr))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p page) command(dir, line string) *exec.Cmd {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEMO_PORT="+stack.FreePort(p.t))
	return cmd
}

func (p page) succeeds(dir, line string) {
	p.t.Helper()
	if out, err := p.command(dir, line).CombinedOutput(); err != nil {
		p.t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// until starts a command that runs for ever, waits for a line, and stops it as
// its user would, who signals all of its processes.
func (p page) until(dir, line, shows string, stop syscall.Signal) {
	p.t.Helper()
	cmd := p.command(dir, line)
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	proc, err := child.Start(cmd)
	_ = w.Close()
	if err != nil {
		p.t.Fatal(err)
	}
	defer proc.Stop(time.Second)
	if err := r.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		p.t.Fatal(err)
	}
	var seen bytes.Buffer
	for lines := bufio.NewScanner(r); !strings.Contains(seen.String(), shows); {
		if !lines.Scan() {
			p.t.Fatalf("%s ended, or took too long, before it said %q: %v\n%s", line, shows, lines.Err(), &seen)
		}
		fmt.Fprintln(&seen, lines.Text())
	}
	if err := syscall.Kill(-proc.Pid(), stop); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-proc.Done():
	case <-time.After(30 * time.Second):
		p.t.Errorf("%s does not stop", line)
	}
}
