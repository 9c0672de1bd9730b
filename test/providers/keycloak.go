package providers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lamplighter/lamplighter/test/stack"
)

const realm = "lamplighter"

// StartKeycloak runs Keycloak for the app at url, with revokeRefreshToken on and
// no reuse allowed: a refresh token that comes back ends the client's session.
func StartKeycloak(t testing.TB, url string) *Provider {
	t.Helper()
	installed := install(t, installKeycloak)
	p := open(t, "profile: keycloak", readKeycloak)
	home := t.TempDir()
	if err := furnish(home, installed, url); err != nil {
		t.Fatalf("prepare keycloak: %v", err)
	}
	// What bin/kc.sh would run: as its child it would outlive it.
	cmd := exec.Command("java", append(javaOptions(home), "start", "--optimized", "--import-realm", "--cache=local",
		"--http-enabled=true", "--http-host=127.0.0.1", "--http-port=0", "--hostname="+p.Issuer,
		"--log-console-output=json", "--spi-events-listener--jboss-logging--success-level=info")...)
	cmd.Dir = home
	p.Issuer += "/realms/" + realm
	p.run(t, cmd)
	return p
}

// furnish makes a home of its own for one run: everything but the data is shared.
func furnish(home, installed, url string) error {
	for _, name := range []string{"lib", "conf", "providers", "themes"} {
		if err := os.Symlink(filepath.Join(installed, name), filepath.Join(home, name)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(realmFor(url))
	if err != nil {
		return err
	}
	into := filepath.Join(home, "data", "import")
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(into, "realm.json"), text, 0o600)
}

func javaOptions(home string) []string {
	options := []string{
		"-Xms64m", "-Xmx512m", "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // it lives for minutes
		"-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-Dpicocli.disable.closures=true",
		"-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
		"-Dkc.home.dir=" + home, "-Djboss.server.config.dir=" + filepath.Join(home, "conf"),
	}
	for _, name := range []string{"java.util", "java.util.concurrent", "java.security", "java.lang"} {
		options = append(options, "--add-opens=java.base/"+name+"=ALL-UNNAMED")
	}
	return append(options, "-cp", filepath.Join(home, "lib", "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint")
}

type object = map[string]any

func realmFor(url string) object {
	users := make([]object, Users)
	for i := range users {
		name := User(i)
		users[i] = object{
			"id": userID(i), "username": name, "enabled": true,
			"email": name + "@example.com", "emailVerified": true, "firstName": name, "lastName": name,
			"credentials": []object{{"type": "password", "value": name}},
			"realmRoles":  []string{"default-roles-" + realm}, // offline_access is one of them
		}
	}
	return object{
		"realm": realm, "enabled": true, "sslRequired": "none",
		"accessTokenLifespan": AccessTokenLife.Seconds(), "revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
		"eventsEnabled": true, "eventsListeners": []string{"jboss-logging"},
		"passwordPolicy": "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)", // logins of 20 at once are not what is tested
		"clients": []object{{
			"clientId": stack.ClientID, "secret": stack.ClientSecret, "enabled": true, "protocol": "openid-connect",
			"publicClient": false, "standardFlowEnabled": true, "redirectUris": []string{url + "/auth/callback"},
		}},
		"users": users,
	}
}

const userIDs = "00000000-0000-4000-8000-"

func userID(i int) string { return fmt.Sprintf(userIDs+"%012d", i) }

// userOf is the name of the user with that id; the id itself if it is none of ours.
func userOf(id string) string {
	var i int
	if _, err := fmt.Sscanf(id, userIDs+"%d", &i); err != nil {
		return id
	}
	return User(i)
}
