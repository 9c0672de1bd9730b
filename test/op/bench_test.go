package op_test

import (
	"testing"

	"github.com/lamplighter/lamplighter/test/op"
)

// BenchmarkRefresh is one refresh through the RoundTripper, caller included.
func BenchmarkRefresh(b *testing.B) {
	for name, idToken := range map[string]bool{"bare": false, "id_token": true} {
		b.Run(name, func(b *testing.B) {
			provider, p := inProcess(b, func(o *op.Options) { o.ES256, o.KeepReceived = true, 1000 })
			provider.SetIDTokenOnRefresh(idToken)
			got := p.login("ada")
			for b.Loop() {
				got = p.mustRefresh(got.Refresh)
			}
		})
	}
}
