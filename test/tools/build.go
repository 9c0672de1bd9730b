package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/lamplighter/lamplighter/test/child"
)

// built is a program of a Go module. It is built from a scratch module that
// requires this one and repeats its replacements, without which go install
// refuses it.
type built struct {
	module, version string
	main            string // the package below module
	name            string // of the program, when it is not main's
	staging         string // the version under which what is replaced by folders is published
	ldflags         string
	source          string // of a main package that uses module, which has none
}

const (
	kubernetesVersion = "1.37.2"
	versionPackage    = "k8s.io/component-base/version"
)

// apiserver is kube-apiserver, with the version in it that helm asks for. Its
// module needs those of its staging folder, which are published beside it.
func apiserver() built {
	return built{
		module: "k8s.io/kubernetes", version: "v" + kubernetesVersion, main: "/cmd/kube-apiserver", staging: "v0." + strings.TrimPrefix(kubernetesVersion, "1."),
		ldflags: fmt.Sprintf("-X %[1]s.gitVersion=v%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[3]s", versionPackage, kubernetesVersion, strings.Split(kubernetesVersion, ".")[1]),
	}
}

// meshConfig reads JSON and accepts it if it is a MeshConfig of Istio: that is
// text in a ConfigMap, which no API server looks into.
func meshConfig() built {
	return built{module: "istio.io/api", version: "v" + istioVersion, name: "mesh-config", source: `package main

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	mesh "istio.io/api/mesh/v1alpha1"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = protojson.Unmarshal(text, new(mesh.MeshConfig))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`}
}

func (b built) program() string {
	if b.name != "" {
		return b.name
	}
	return path.Base(b.module + b.main)
}

func (b built) folder() string { return b.program() + "-" + strings.TrimPrefix(b.version, "v") }

func (b built) fetch(ctx context.Context, dir string) error {
	source, err := Module(ctx, b.module, b.version)
	if err != nil {
		return err
	}
	gomod, err := b.scratch(ctx, source)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(dir, "scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := os.WriteFile(filepath.Join(scratch, "go.mod"), []byte(gomod), 0o644); err != nil {
		return err
	}
	from := b.module + b.main
	if b.source != "" {
		from = "."
		if err := os.WriteFile(filepath.Join(scratch, "main.go"), []byte(b.source), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.Command("nice", "-n", "10", "go", "build", "-mod=mod", "-trimpath",
		"-ldflags", strings.TrimSpace("-s -w "+b.ldflags), "-o", filepath.Join(dir, b.program()), from)
	cmd.Dir, cmd.Env = scratch, goEnv()
	return child.Run(ctx, cmd)
}

// scratch is the go.mod of a module that builds what source's own builds.
func (b built) scratch(ctx context.Context, source string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json", filepath.Join(source, "go.mod"))
	cmd.Env = goEnv()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("read go.mod of %s: %w", b.module, err)
	}
	type module struct{ Path, Version string }
	var mod struct {
		Go      string
		Replace []struct{ Old, New module }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("read go.mod of %s: %w", b.module, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "module scratch\n\ngo %s\n\nrequire %s %s\n\n", mod.Go, b.module, b.version)
	for _, r := range mod.Replace {
		if r.New.Version == "" { // a folder, which is a module of its own and not in this one's archive
			if b.staging == "" {
				continue
			}
			r.New = module{r.Old.Path, b.staging}
		}
		fmt.Fprintf(&text, "replace %s => %s %s\n", strings.TrimSpace(r.Old.Path+" "+r.Old.Version), r.New.Path, r.New.Version)
	}
	return text.String(), nil
}

// goEnv is the environment of a go command that has nothing to do with the
// module, flags and race detector of the caller.
func goEnv() []string {
	return append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GO111MODULE=on")
}
