package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/telemetry"
)

func TestRegistryReports(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	telemetry.Handler(telemetry.NewRegistry()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{"go_goroutines ", "process_start_time_seconds ", "go_build_info{"} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}
