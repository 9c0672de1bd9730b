package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// asChild makes a test say which roots its process trusts: they are read once.
const asChild = "LAMPLIGHTER_TEST_ROOTS"

// A system without certificates trusts the public roots of the binary; one that
// has some trusts those alone.
func TestPublicRoots(t *testing.T) {
	if want := os.Getenv(asChild); want != "" {
		if _, err := publicRoot(t).Verify(x509.VerifyOptions{}); (err == nil) != (want == "public") {
			t.Errorf("a public root is verified with %v, want the roots to be %s", err, want)
		}
		return
	}
	t.Parallel()
	empty, own := t.TempDir(), filepath.Join(t.TempDir(), "own.pem")
	if err := os.WriteFile(own, ownRoot(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"no certificates", filepath.Join(empty, "none.pem"), "public"},
		{"certificates of its own", own, "its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPublicRoots$", "-test.count=1")
			cmd.Env = append(os.Environ(), asChild+"="+tt.want, "SSL_CERT_FILE="+tt.file, "SSL_CERT_DIR="+empty)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// publicRoot is one that is valid, and trusted without constraints.
func publicRoot(t *testing.T) *x509.Certificate {
	t.Helper()
	for root := range bundle.Roots() {
		c, err := x509.ParseCertificate(root.Certificate)
		if err == nil && root.Constraint == nil && time.Now().After(c.NotBefore) && time.Now().Before(c.NotAfter) {
			return c
		}
	}
	t.Fatal("every public root has expired: take a newer version of x509roots/fallback")
	return nil
}

func ownRoot(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
