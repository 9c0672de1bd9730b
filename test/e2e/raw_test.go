package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/lamplighter/lamplighter/test/stack"
)

// wire sends one request exactly as written, on a connection of its own: the
// target is not cleaned, and header lines, "Name: value", keep their spelling
// and order. The error is a connection that Envoy closed instead of answering.
type wire func(t *testing.T, s *stack.Stack, method, target string, lines ...string) (stack.Answer, error)

func dial(t *testing.T, s *stack.Stack) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Envoy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func host(s *stack.Stack) string { return strings.TrimPrefix(s.URL, "http://") }

// http1 is wire over HTTP/1.1.
func http1(t *testing.T, s *stack.Stack, method, target string, lines ...string) (stack.Answer, error) {
	t.Helper()
	conn := dial(t, s)
	defer conn.Close()
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host(s))
	for _, line := range lines {
		request += line + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return stack.Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return stack.Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body), Location: resp.Header.Get("Location")}, err
}

// prior is wire over HTTP/2 in clear text, by prior knowledge.
func prior(t *testing.T, s *stack.Stack, method, target string, lines ...string) (stack.Answer, error) {
	t.Helper()
	conn := dial(t, s)
	defer conn.Close()
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	fields := []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: host(s)}, {Name: ":path", Value: target},
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		fields = append(fields, hpack.HeaderField{Name: name, Value: value})
	}
	for _, f := range fields {
		if err := e.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, preface := io.WriteString(conn, http2.ClientPreface)
	if err := errors.Join(preface, framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true,
	})); err != nil {
		t.Fatal(err)
	}
	return answerOf(framer)
}

// answerOf reads the answer on stream 1.
func answerOf(framer *http2.Framer) (stack.Answer, error) {
	a := stack.Answer{Header: make(http.Header)}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return a, err
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if a.Status, err = strconv.Atoi(f.PseudoValue("status")); err != nil {
				return a, err
			}
			for _, field := range f.RegularFields() {
				a.Header.Add(field.Name, field.Value)
			}
			a.Location = a.Header.Get("Location")
		case *http2.DataFrame:
			a.Body += string(f.Data())
		case *http2.RSTStreamFrame:
			return a, http2.ConnectionError(f.ErrCode)
		case *http2.GoAwayFrame:
			return a, http2.ConnectionError(f.ErrCode)
		}
		if h := frame.Header(); h.StreamID == 1 && h.Flags.Has(http2.FlagDataEndStream) {
			return a, nil
		}
	}
}

// send is http1 or prior where an answer is certain.
func (w wire) send(t *testing.T, s *stack.Stack, method, target string, lines ...string) stack.Answer {
	t.Helper()
	a, err := w(t, s, method, target, lines...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}
