package app

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// certificate is that of the Check listener, as it was last read whole.
type certificate struct {
	current atomic.Pointer[tls.Certificate]
}

// read takes what the files hold; if that is no certificate with its key, the one
// from before stays.
func (c *certificate) read(files config.ListenTLS) error {
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return fmt.Errorf("listen.tls: %w; write a certificate and its key, in PEM", err)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil }}
}
