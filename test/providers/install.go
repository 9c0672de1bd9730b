package providers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/lamplighter/lamplighter/test/child"
	"github.com/lamplighter/lamplighter/test/installed"
)

const (
	below           = ".providers"
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
	return installed.Folder(ctx, below, "oidc-provider-"+hex.EncodeToString(sum.Sum(nil)[:6]), func(dir string) error {
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
	dir, err := installed.Folder(ctx, below, name, func(dir string) error {
		if err := in(ctx, dir, "mvn", "-q", "-B", copyPlugin,
			"-Dartifact=org.keycloak:keycloak-quarkus-dist:"+keycloakVersion+":zip", "-DoutputDirectory="+dir); err != nil {
			return err
		}
		zip := filepath.Join(dir, keycloakZip)
		if err := installed.Verify(zip, keycloakSHA256); err != nil {
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
