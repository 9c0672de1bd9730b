package echo_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/lamplighter/lamplighter/test/echo"
)

func TestAnswersWithTheRequestAsItArrived(t *testing.T) {
	t.Parallel()
	var api echo.API
	server := httptest.NewServer(&api)
	defer server.Close()
	if last, ok := api.Last(); ok || api.Requests() != 0 {
		t.Fatalf("before any request: %d requests, last %v", api.Requests(), last)
	}

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PUT /a%2Fb/../c?q=1&q=%20 HTTP/1.1\r\nHost: app.example\r\nX_Under: u\r\ncookie: a=1\r\nAUTHORIZATION: Bearer x\r\nCookie: b=2\r\nContent-Length: 0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got echo.Request
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}

	if got.Method != "PUT" || got.Path != "/a%2Fb/../c?q=1&q=%20" {
		t.Errorf("got %s %s", got.Method, got.Path)
	}
	want := map[string][]string{
		"host": {"app.example"}, "x_under": {"u"}, "cookie": {"a=1", "b=2"},
		"authorization": {"Bearer x"}, "content-length": {"0"},
	}
	for name, lines := range want {
		if !slices.Equal(got.Headers[name], lines) {
			t.Errorf("header %s: got %q, want %q", name, got.Headers[name], lines)
		}
	}
	if len(got.Headers) != len(want) {
		t.Errorf("got headers %v", got.Headers)
	}
	last, ok := api.Last()
	if !ok || last.Path != got.Path || api.Requests() != 1 {
		t.Errorf("got %d requests, last %v", api.Requests(), last)
	}
}
