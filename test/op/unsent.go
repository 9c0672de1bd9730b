package op

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"syscall"
)

// Unsent is a way in which a request fails before a byte of it is written.
type Unsent string

// The ways a request fails before it is written.
const (
	UnsentRefused Unsent = "refused" // nobody listens
	UnsentDNS     Unsent = "dns"     // the name does not resolve
	UnsentTLS     Unsent = "tls"     // a certificate nobody vouches for
)

func (u Unsent) validate() error {
	switch u {
	case "", UnsentRefused, UnsentDNS, UnsentTLS:
		return nil
	}
	return fmt.Errorf("unsent %q is not refused, dns, tls or empty", string(u))
}

// fail is the error net/http would return. Its hooks hear of a connection that
// was looked for and never found, which is how a caller knows that nothing was
// written.
func (u Unsent) fail(r *http.Request) error {
	if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.GetConn != nil {
		t.GetConn(r.URL.Host)
	}
	switch u {
	case UnsentDNS:
		return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}}
	case UnsentTLS:
		return &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}
