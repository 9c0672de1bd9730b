//go:build !linux

package envoytest

import (
	"context"
	"os/exec"
)

// bindToParent has no equivalent here: a killed parent leaves its Envoy.
func bindToParent(*exec.Cmd) {}

// lockFile guards the installation, and nothing is installed here.
func lockFile(context.Context, string) (func(), error) { return func() {}, nil }
