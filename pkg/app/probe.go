package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"github.com/lamplighter/lamplighter/pkg/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Probe asks the lamplighter of this machine that listens at check, as in the config,
// whether it answers Checks (gRPC health protocol). The error says that it does not
// answer at all.
func Probe(ctx context.Context, check string, byTLS bool) (serving bool, err error) {
	secured := insecure.NewCredentials()
	if byTLS {
		secured = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) // the certificate names us as others see us
	}
	at := probedAt(check)
	connection, err := grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(secured), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			network, where := config.SplitAddress(at)
			return new(net.Dialer).DialContext(ctx, network, where)
		}))
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", check, err)
	}
	defer connection.Close()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", check, err)
	}
	return answer.Status == grpc_health_v1.HealthCheckResponse_SERVING, nil
}

// probedAt is where who listens on every address can be reached.
func probedAt(check string) string {
	host, port, err := net.SplitHostPort(check)
	if err != nil {
		return check
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return check
}
