//go:build kubernetes

package kubernetes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/cluster"
	"github.com/lamplighter/lamplighter/test/installed"
)

var (
	block = regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$")
	// The first line of a YAML block that is a file.
	fileName = regexp.MustCompile(`^# ([a-z-]+\.yaml)\b`)
	// What talks to a cluster: kubectl, and helm about our own chart.
	forCluster = regexp.MustCompile(`(^|[|&;] *)(kubectl |helm .*k8s/chart|helm (rollback|uninstall|get|list|status) )`)
	// What asks for pods, and here are none.
	forPods = regexp.MustCompile(`kubectl .*\b(logs|exec|port-forward|rollout|wait|attach|top)\b`)
)

// TestReadme runs the commands of k8s/README.md that need a cluster and no pods.
// Each of its sections is another way, and has a cluster of its own.
func TestReadme(t *testing.T) {
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for section := range strings.SplitSeq("\n"+read(t, filepath.Join(root, "k8s/README.md")), "\n## ") {
		if !hasCommands(section) {
			continue
		}
		title, _, _ := strings.Cut(section, "\n")
		t.Run(title, func(t *testing.T) {
			w := &world{Cluster: cluster.Start(t), root: root}
			w.define(t)
			ran += w.follow(t, section)
		})
	}
	if ran == 0 {
		t.Error("k8s/README.md has no command for a cluster")
	}
}

func hasCommands(section string) bool {
	for _, m := range block.FindAllStringSubmatch(section, -1) {
		for _, line := range commands(m) {
			if forCluster.MatchString(line) {
				return true
			}
		}
	}
	return false
}

// commands are the lines of a block of commands, without their comments.
func commands(block []string) []string {
	if block[1] != "sh" {
		return nil
	}
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(block[2], "\\\n", " ")) {
		if line, _, _ = strings.Cut(line, " #"); strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// follow does what a section says, in a folder that has the checkout's k8s and
// bin/lamplighter, and returns how many commands it ran.
func (w *world) follow(t *testing.T, section string) int {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(w.root, "k8s"), filepath.Join(dir, "k8s")); err != nil {
		t.Fatal(err)
	}
	w.build(t, filepath.Join(dir, "bin"))
	ran := 0
	for _, m := range block.FindAllStringSubmatch(section, -1) {
		if m[1] == "yaml" {
			if named := fileName.FindStringSubmatch(m[2]); named != nil {
				if err := os.WriteFile(filepath.Join(dir, named[1]), []byte(m[2]), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		for _, line := range commands(m) {
			printsFile := strings.Contains(line, "lamplighter print") || strings.HasPrefix(line, "printf ")
			if (!forCluster.MatchString(line) && !printsFile) || forPods.MatchString(line) {
				continue
			}
			w.types(t, dir, line)
			ran++
		}
	}
	return ran
}

// types runs a line as its reader would.
func (w *world) types(t *testing.T, dir, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = dir, w.Environ()
	if err := child.Run(ctx, cmd); err != nil {
		t.Error(err)
	}
}

// build leaves lamplighter in dir.
func (w *world) build(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/lamplighter")
	cmd.Dir = w.root
	if err := child.Run(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
}
