package authz

import (
	"net/http"
	"testing"
)

// BenchmarkCheckFresh is the hot path without gRPC: a page's fetch with a Fresh
// session, as the shipped Envoy tells it.
func BenchmarkCheckFresh(b *testing.B) {
	for name, others := range map[string]string{"only our cookie": "", "others too": "theme=dark; "} {
		for _, as := range forms {
			b.Run(name+"/"+string(as), func(b *testing.B) {
				f, h := known(b, freshView)
				check := send(http.MethodGet, "/items?page=2",
					"accept: application/json", "accept-language: en", "accept-encoding: gzip, deflate, br",
					"user-agent: Mozilla/5.0 (X11; Linux x86_64)", "referer: https://app.example.com/",
					"sec-fetch-mode: cors", "sec-fetch-site: same-origin", "sec-fetch-dest: empty",
					"cookie: "+others+sessionCookie(h), "x-forwarded-proto: https",
					"x-request-id: 0d3c1d0a-4e3c-4b57-9f2c-2f4d3f1f9c01").check(as)
				b.ReportAllocs()
				for b.Loop() {
					answer, _ := f.Check(b.Context(), check)
					if answer.GetStatus().GetCode() != 0 {
						b.Fatal(answer)
					}
				}
			})
		}
	}
}
