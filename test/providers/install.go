package providers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/filelock"
)

const (
	keycloakVersion = "26.7.3"
	keycloakZip     = "keycloak-quarkus-dist-" + keycloakVersion + ".zip"
	keycloakSHA256  = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
	copyPlugin      = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
)

// tools, each with what to do when it is not there.
var tools = map[string]string{
	"node":    "install Node.js 20 or newer",
	"npm":     "install npm, which comes with Node.js",
	"java":    "install Java 17 or newer",
	"mvn":     "install Maven 3",
	"python3": "install Python 3, which unpacks Keycloak",
}

func need(names ...string) error {
	var missing []error
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Errorf("%s: %s is not on PATH", tools[name], name))
		}
	}
	return errors.Join(missing...)
}

// installed returns the folder of that name below .providers, filled by fill if
// it was not. It is safe against other calls, in this process and in others: one
// installs, the rest wait.
func installed(ctx context.Context, name string, fill func(dir string) error) (string, error) {
	root, err := envoytest.Checkout()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, ".providers", name)
	whole := filepath.Join(dir, "installed") // written last
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	release, err := filelock.Take(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	defer release()
	// Whoever held the lock before may have finished the job, or been killed at it.
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return dir, os.WriteFile(whole, nil, 0o644)
}

//go:embed node
var node embed.FS

// installOIDCProvider returns a folder with server.mjs and what it imports.
func installOIDCProvider(ctx context.Context) (string, error) {
	if err := need("node", "npm"); err != nil {
		return "", err
	}
	files := make(map[string][]byte)
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "server.mjs"} {
		text, err := fs.ReadFile(node, "node/"+name)
		if err != nil {
			return "", err
		}
		files[name] = text
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	return installed(ctx, "oidc-provider-"+hex.EncodeToString(sum.Sum(nil)[:6]), func(dir string) error {
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				return err
			}
		}
		return in(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
}

// installKeycloak returns Keycloak's home, built for start --optimized over a
// database in memory.
func installKeycloak(ctx context.Context) (string, error) {
	if err := need("java", "mvn", "python3"); err != nil {
		return "", err
	}
	name := "keycloak-" + keycloakVersion
	dir, err := installed(ctx, name, func(dir string) error {
		if err := in(ctx, dir, "mvn", "-q", "-B", copyPlugin,
			"-Dartifact=org.keycloak:keycloak-quarkus-dist:"+keycloakVersion+":zip", "-DoutputDirectory="+dir); err != nil {
			return err
		}
		zip := filepath.Join(dir, keycloakZip)
		if err := verify(zip, keycloakSHA256); err != nil {
			return err
		}
		if err := in(ctx, dir, "python3", "-m", "zipfile", "-e", zip, dir); err != nil {
			return err
		}
		if err := in(ctx, filepath.Join(dir, name), "bash", "bin/kc.sh", "build", "--db=dev-mem", "--health-enabled=false"); err != nil {
			return err
		}
		return os.Remove(zip)
	})
	return filepath.Join(dir, name), err
}

func in(ctx context.Context, dir, command string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	return child.Run(ctx, cmd)
}

// verify holds a file against its SHA-256.
func verify(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("check %s: its SHA-256 is %s, want %s", filepath.Base(path), got, want)
	}
	return nil
}
