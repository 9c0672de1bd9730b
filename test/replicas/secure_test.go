//go:build replicas

package replicas

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lamplighter/lamplighter/test/redistest"
	"github.com/lamplighter/lamplighter/test/stack"
)

// rights are all that lamplighter needs of a server, with keys and channels of its
// own prefix.
const rights = "~lamplighter:* &lamplighter:* -@all +@read +@write +@scripting +@pubsub +@connection -@dangerous +info +wait +time +role +cluster|slots +cluster|shards"

// A server that takes TLS with a client certificate, and one user with just the
// rights it needs. Its password is changed, in both orders, and then the user is
// another: nobody is logged out, and lamplighter is not restarted.
func TestSecuredRedis(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	server := redistest.StartSecured(t, ca, "user default off\nuser admin on >admin ~* &* +@all\nuser lamp on >first-password "+rights+"\n")
	dir := t.TempDir()
	user, password := filepath.Join(dir, "user"), filepath.Join(dir, "password")
	write := func(path, to string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(to+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change := func(to string) { t.Helper(); write(password, to) }
	write(user, "lamp")
	change("first-password")
	config := func(ca redistest.Authority) string {
		return fmt.Sprintf("addresses: [%q], username_file: %q, password_file: %q, tls: {ca_file: %q, cert_file: %q, key_file: %q}",
			server.Addr, user, password, ca.CA, ca.ClientCert, ca.ClientKey)
	}
	all := startOver(t, 2, config(ca), stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 10)
	v.allRefreshed()

	v.enter("a new password, first in the file")
	server.CLI(t, "ACL", "SETUSER", "lamp", ">second-password")
	change("second-password")
	server.CLI(t, "ACL", "SETUSER", "lamp", "<first-password")
	server.CLI(t, "CLIENT", "KILL", "USER", "lamp")
	v.allServed()
	v.allRefreshed()

	v.enter("a new password, first at the server")
	server.CLI(t, "ACL", "SETUSER", "lamp", "resetpass", ">third-password")
	server.CLI(t, "CLIENT", "KILL", "USER", "lamp")
	for i, s := range all {
		eventually(t, fmt.Sprintf("replica %d tells of it", i), func() bool {
			_, body, err := s.Lamplighter.Get("/readyz")
			return err == nil && strings.Contains(body, "store trouble") && strings.Contains(s.Lamplighter.Log(), "WRONGPASS")
		})
	}
	change("third-password")
	v.allServed()
	v.allRefreshed()

	v.enter("another user")
	server.CLI(t, "ACL", "SETUSER", "lantern", "on", ">third-password", "allkeys", "allchannels", "allcommands")
	write(user, "lantern")
	server.CLI(t, "ACL", "DELUSER", "lamp")
	v.allServed()
	v.allRefreshed()
	heals(t, all)
	v.verdict()
	v.kept(2) // the sleeper's and the leaver's
	for _, s := range all {
		for _, secret := range []string{"first-password", "second-password", "third-password"} {
			if strings.Contains(s.Lamplighter.Log(), secret) {
				t.Errorf("the log holds the password %q", secret)
			}
		}
	}

	stranger := stack.Prepare(t, stack.Options{Config: "store: {redis: {" + config(redistest.NewAuthority(t)) + "}}"})
	if code, said := stranger.Lamplighter.Fails(); code == 0 || !strings.Contains(said, "certificate") {
		t.Errorf("with the CA of somebody else it ends with %d: %s", code, said)
	}
}

// The CA and the certificates of a server are renewed, in both orders, and so is the
// client certificate: what the files say is what the next connection goes by, nobody is
// logged out, and lamplighter is not restarted.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	one, two, three := redistest.NewAuthority(t), redistest.NewAuthority(t), redistest.NewAuthority(t)
	dir := t.TempDir()
	put := func(name string, from ...string) string {
		t.Helper()
		var all []byte
		for _, path := range from {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		path, fresh := filepath.Join(dir, name), filepath.Join(dir, name+".new")
		if err := os.WriteFile(fresh, all, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	every := one
	every.CA = put("every.pem", one.CA, two.CA, three.CA) // what the server takes of clients, and its own CLI trusts
	server := redistest.StartSecured(t, every, "user default off\nuser admin on >admin ~* &* +@all\nuser lamp on nopass "+rights+"\n")
	show := func(a redistest.Authority) {
		t.Helper()
		server.CLI(t, "CONFIG", "SET", "tls-cert-file", a.ServerCert, "tls-key-file", a.ServerKey)
		server.CLI(t, "CLIENT", "KILL", "USER", "lamp")
	}
	all := startOver(t, 2, fmt.Sprintf("addresses: [%q], username: lamp, tls: {ca_file: %q, cert_file: %q, key_file: %q}",
		server.Addr, put("ca.pem", one.CA), put("client.pem", one.ClientCert), put("client.key", one.ClientKey)), stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 10)
	v.allRefreshed()

	v.enter("a new CA, first in the file")
	put("ca.pem", one.CA, two.CA)
	show(two)
	v.allServed()
	v.allRefreshed()

	v.enter("a new client certificate")
	put("client.key", two.ClientKey)
	put("client.pem", two.ClientCert)
	server.CLI(t, "CLIENT", "KILL", "USER", "lamp")
	v.allServed()
	v.allRefreshed()

	v.enter("a new CA, first at the server")
	show(three)
	for i, s := range all {
		eventually(t, fmt.Sprintf("replica %d tells of it", i), func() bool {
			_, body, err := s.Lamplighter.Get("/readyz")
			return err == nil && strings.Contains(body, "store trouble") && strings.Contains(s.Lamplighter.Log(), "certificate signed by unknown authority")
		})
	}
	put("ca.pem", three.CA)
	v.allServed()
	v.allRefreshed()
	heals(t, all)
	v.verdict()
	v.kept(2) // the sleeper's and the leaver's
}

// A master set by TLS, whose Sentinels have a password of their own.
func TestSecuredSentinels(t *testing.T) {
	t.Parallel()
	ca := redistest.NewAuthority(t)
	w := redistest.SecuredSentinels(t, ca, "user default off\nuser admin on >admin ~* &* +@all\nuser lamp on >lamp-password "+rights+"\n")
	files := map[string]string{"lamp": "lamp-password", "sentinel": redistest.SentinelPassword}
	dir := t.TempDir()
	for name, password := range files {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("addresses: [%s], sentinel_master: %s, username: lamp, password_file: %q, sentinel_password_file: %q, tls: {ca_file: %q, cert_file: %q, key_file: %q}",
		quoted(w.Addresses()), w.Name, files["lamp"], files["sentinel"], ca.CA, ca.ClientCert, ca.ClientKey)
	all := startOver(t, 2, config, stack.Options{AccessTokenLife: tokenLife})
	v := visit(t, all, 10)
	v.allRefreshed()
	old := w.Primary(t)

	v.enter("failover")
	old.Kill()
	another(t, w, old)
	v.allServed()
	v.enter("after")
	v.allRefreshed()
	v.verdict()
	v.kept(0)
}
