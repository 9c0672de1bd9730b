package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/stack"
)

// Authority is a CA of one test, with what it has signed, as PEM files.
type Authority struct {
	CA                    string
	ServerCert, ServerKey string // for 127.0.0.1
	ClientCert, ClientKey string
}

// NewAuthority makes keys and certificates, which live for an hour. Its CA has a name of
// its own: OpenSSL tells two CAs in one file by that.
func NewAuthority(t testing.TB) Authority {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test " + rand.Text()[:8]}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := newKey(t)
	issue := func(serial int64, c x509.Certificate) (cert, key string) {
		c.SerialNumber, c.NotBefore, c.NotAfter, c.KeyUsage = big.NewInt(serial), ca.NotBefore, ca.NotAfter, x509.KeyUsageDigitalSignature
		private := newKey(t)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, c.Subject.CommonName)
		return sign(t, name+".pem", &c, ca, private, caKey), write(t, name+".key", "PRIVATE KEY", der)
	}
	a := Authority{CA: sign(t, filepath.Join(dir, "ca.pem"), ca, ca, caKey, caKey)}
	a.ServerCert, a.ServerKey = issue(2, x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // servers call each other
	})
	a.ClientCert, a.ClientKey = issue(3, x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, path string, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, path, "CERTIFICATE", der)
}

func write(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// StartSecured runs a server that takes TLS only, from whom a has signed, and knows
// the users of acl, lines of an ACL file; of these, "admin" with the password
// "admin" is who CLI is.
func StartSecured(t testing.TB, a Authority, acl string, args ...string) *Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(file, []byte(acl), 0o600); err != nil {
		t.Fatal(err)
	}
	port := stack.FreePort(t)
	s := start(t, port, append([]string{
		"--port", "0", "--tls-port", port, "--tls-ca-cert-file", a.CA, "--tls-cert-file", a.ServerCert, "--tls-key-file", a.ServerKey,
		"--aclfile", file, "--save", "", "--appendonly", "no",
	}, args...)...)
	s.cli = append(a.cli(), "--user", "admin", "-a", "admin", "--no-auth-warning")
	return s
}

// cli is how redis-cli proves who it is.
func (a Authority) cli() []string {
	return []string{"--tls", "--cacert", a.CA, "--cert", a.ClientCert, "--key", a.ClientKey}
}
