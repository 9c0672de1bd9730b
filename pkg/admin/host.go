package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// onlyAs serves next to whoever asks for the listener by a name that is its own. A
// page whose own name is made to resolve to this listener (DNS rebinding) is of the
// same origin to a browser, so that no other guard stops it; but it has to ask by
// that name.
func onlyAs(address string, next http.Handler) http.Handler {
	own := hostOf(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); host != "localhost" && (host == "" || host != own) && !isIP(host) {
			write(w, newProblem(http.StatusForbidden, "the session pages do not answer to this Host; "+
				"ask by IP address or as localhost, or write the name into listen.admin"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf is the host of host:port, or of a host alone.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	return strings.ToLower(host)
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
