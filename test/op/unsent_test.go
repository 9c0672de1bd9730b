package op_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

// What a caller can know of a request that was never written: net/http looked
// for a connection and got none.
func TestUnsent(t *testing.T) {
	t.Parallel()
	for unsent, is := range map[op.Unsent]func(error) bool{
		op.UnsentRefused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		op.UnsentDNS: func(err error) bool {
			dns, ok := errors.AsType[*net.DNSError](err)
			return ok && dns.IsNotFound
		},
		op.UnsentTLS: func(err error) bool {
			_, ok := errors.AsType[x509.UnknownAuthorityError](err)
			return ok
		},
	} {
		t.Run(string(unsent), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				provider, p := inProcess(t, nil)
				got := p.login("ada")
				mustControl(p, op.Control{Fault: &op.Fault{Unsent: unsent, Delay: op.Duration(time.Second), Times: 2}})
				asked, gotten := 0, 0
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GetConn: func(string) { asked++ },
					GotConn: func(httptrace.GotConnInfo) { gotten++ },
				})
				start := time.Now()
				if _, err := p.try(ctx, got.Refresh); !is(err) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if asked != 1 || gotten != 0 {
					t.Errorf("%d connections looked for and %d found, want 1 and 0", asked, gotten)
				}
				hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if _, err := p.try(hurried, got.Refresh); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a caller that gives up: %v", err)
				}
				if l := provider.Ledger(); len(l.Received) != 1 || l.Consumed["f1"] != 0 {
					t.Errorf("something arrived: %+v", l)
				}
				p.mustRefresh(got.Refresh)
			})
		})
	}
}

func TestUnsentIsTooLateOverTheNetwork(t *testing.T) {
	t.Parallel()
	provider, p := serve(t, nil)
	got := p.login("ada")
	mustSet(t, provider, op.Fault{Unsent: op.UnsentDNS, Times: 1})
	if r, err := p.try(t.Context(), got.Refresh); err != nil || r.status != http.StatusNotImplemented {
		t.Errorf("got %d, %v", r.status, err)
	}
	if l := provider.Ledger(); l.Consumed["f1"] != 0 || outcomes(provider)["501"] != 1 {
		t.Errorf("ledger %+v", l)
	}
}
