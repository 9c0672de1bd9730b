// Package arch holds the rule who may import whom, as a test: a house stays
// readable only while its walls stand where the plan shows them.
package arch

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lamplighter/lamplighter/"

// rooms: what each package of ours may import of ours, and why. A package that
// is not listed here does not belong to the house yet.
var rooms = map[string]struct {
	may []string
	why string
}{
	"pkg/session":         {nil, "the kernel stands on the standard library alone"},
	"pkg/seal":            {nil, "a leaf: keys and boxes know nothing of sessions"},
	"pkg/cookie":          {nil, "a leaf: header lines know nothing of sessions"},
	"pkg/telemetry":       {nil, "a leaf: everything may be observed, nothing is known"},
	"pkg/store":           {[]string{"pkg/session", "pkg/seal"}, "the contract speaks the kernel's words and seals records"},
	"pkg/store/*":         {[]string{"pkg/store", "pkg/session", "pkg/seal"}, "a backend implements the contract and never imports another backend"},
	"pkg/store/storetest": {[]string{"pkg/store", "pkg/session", "pkg/store/memstore"}, "the suite judges every backend by the contract, and itself by broken ones"},
	"pkg/sessioncache":    {[]string{"pkg/session", "pkg/store"}, "a reader of the contract; adapters never import each other"},
	"pkg/refresh":         {[]string{"pkg/session", "pkg/store"}, "the heart knows the contract and names what else it needs as interfaces"},
	"pkg/lifecycle":       {[]string{"pkg/session", "pkg/store"}, "the only caller of Create and End; adapters never import each other"},
	"pkg/rp":              {[]string{"pkg/session", "pkg/cookie", "pkg/seal"}, "the relying party never sees the store"},
	"pkg/authz":           {[]string{"pkg/session", "pkg/cookie"}, "the Check front sees the store and the provider through interfaces"},
	"pkg/admin":           {[]string{"pkg/session"}, "the operator's view is filled by app"},
	"pkg/config":          {[]string{"pkg/cookie"}, "names are checked by the rules of the package that writes them"},
	"pkg/watch":           {nil, "a leaf: files are files"},
	"pkg/manifest":        {[]string{"pkg/config"}, "what others are told follows from the config alone"},
	"pkg/app":             {[]string{"pkg/*"}, "the one place where everything meets"},
	"cmd/lamplighter":     {[]string{"pkg/app", "pkg/config", "pkg/telemetry", "pkg/admin", "pkg/manifest"}, "a command is thin; the operator's ask the admin listener, in the words of its package"},
	"cmd/devop":           {[]string{"test/op"}, "the development provider is never linked into lamplighter"},
	"test/*":              {[]string{"pkg/*", "test/*"}, "tests may look everywhere"},
}

// libraries: where each confined third-party module may be imported.
var libraries = map[string][]string{
	"google.golang.org/grpc":                  {"pkg/authz", "pkg/app", "test/*"},
	"github.com/envoyproxy/go-control-plane/": {"pkg/authz", "pkg/app", "test/*"},
	"github.com/coreos/go-oidc":               {"pkg/rp"},
	"golang.org/x/oauth2":                     {"pkg/rp"},
	"github.com/go-jose/":                     {"pkg/rp", "test/*"},
	"github.com/dgraph-io/ristretto":          {"pkg/sessioncache"},
	"go.etcd.io/bbolt":                        {"pkg/store/boltstore"},
	"github.com/redis/rueidis":                {"pkg/store/redisstore"},
	"golang.org/x/time":                       {"pkg/refresh"},
	"github.com/sony/gobreaker":               {"pkg/refresh"},
	"golang.org/x/sys":                        {"pkg/app", "test/child"},
	"golang.org/x/crypto":                     {"pkg/seal", "cmd/lamplighter"},
	"golang.org/x/crypto/x509roots/":          {"cmd/lamplighter"},
	"github.com/goccy/go-yaml":                {"pkg/config", "test/*"},
	"github.com/invopop/jsonschema":           {"pkg/config", "test/*"},
	"github.com/spf13/cobra":                  {"cmd/lamplighter", "cmd/devop"},
	"github.com/zitadel/oidc":                 {"test/op"},
	"github.com/prometheus/client_golang/":    {"pkg/telemetry", "pkg/app", "metrics.go"},
}

type pkgInfo struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// list asks the go command, so that build tags and generated files are read as
// the compiler reads them. Test files are not in Imports: they may look anywhere.
func list(t *testing.T) []pkgInfo {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkgInfo
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkgInfo
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

func match(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

func anyMatch(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

// breaches lists what pkg may not import, each with its reason.
func breaches(p pkgInfo, metricsOnly func(pkgInfo, string) bool) []string {
	name := strings.TrimPrefix(p.ImportPath, module)
	room, ok := rooms[name]
	if !ok {
		room, ok = rooms[path.Dir(name)+"/*"]
	}
	if !ok && strings.HasPrefix(name, "test/") {
		room, ok = rooms["test/*"], true
	}
	if !ok {
		return []string{name + " has no entry in the plan of the house (test/arch): say what it may import, and why"}
	}
	var bad []string
	for _, imp := range p.Imports {
		if ours, ok := strings.CutPrefix(imp, module); ok {
			if !anyMatch(room.may, ours) {
				bad = append(bad, name+" imports "+ours+": "+room.why)
			}
			continue
		}
		if name == "pkg/session" && strings.Contains(strings.Split(imp, "/")[0], ".") {
			bad = append(bad, name+" imports "+imp+": "+room.why)
		}
		for lib, where := range libraries {
			if !strings.HasPrefix(imp, lib) || anyMatch(where, name) {
				continue
			}
			if slices.Contains(where, "metrics.go") && metricsOnly(p, imp) {
				continue
			}
			bad = append(bad, name+" imports "+imp+": that library is confined to "+strings.Join(where, ", "))
		}
	}
	return bad
}

func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	pkgs := list(t)
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages only", len(pkgs))
	}
	for _, p := range pkgs {
		for _, b := range breaches(p, onlyInMetricsFile) {
			t.Error(b)
		}
	}
}

func TestForbiddenImportsAreFound(t *testing.T) {
	t.Parallel()
	never := func(pkgInfo, string) bool { return false }
	for _, tt := range []struct{ pkg, imp string }{
		{"pkg/session", "golang.org/x/crypto/hkdf"},
		{"pkg/session", module + "pkg/seal"},
		{"pkg/refresh", module + "pkg/rp"},
		{"pkg/rp", module + "pkg/store"},
		{"pkg/authz", "go.etcd.io/bbolt"},
		{"pkg/store/boltstore", module + "pkg/store/memstore"},
		{"pkg/lifecycle", "github.com/prometheus/client_golang/prometheus"},
		{"cmd/lamplighter", module + "test/op"},
		{"pkg/newroom", "fmt"},
	} {
		p := pkgInfo{ImportPath: module + tt.pkg, Imports: []string{tt.imp}}
		if len(breaches(p, never)) == 0 {
			t.Errorf("%s importing %s was let pass", tt.pkg, tt.imp)
		}
	}
}

// onlyInMetricsFile reports whether metrics.go is the one file of p that imports imp.
func onlyInMetricsFile(p pkgInfo, imp string) bool {
	return !slices.ContainsFunc(p.GoFiles, func(name string) bool {
		if name == "metrics.go" {
			return false
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
		return err != nil || slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool {
			return strings.Trim(i.Path.Value, "\"") == imp
		})
	})
}
