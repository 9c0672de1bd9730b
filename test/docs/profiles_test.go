package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/installed"
)

// The table of test/README.md says of each provider profile what the code does.
func TestProfileTable(t *testing.T) {
	t.Parallel()
	root, err := installed.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "test/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := session.Profiles()
	if len(all) < 11 {
		t.Fatalf("%d profiles only", len(all))
	}
	for _, p := range all {
		if row := profileRow(p, all[0]); !strings.Contains(string(page), row+"\n") {
			t.Errorf("test/README.md does not have this row:\n%s", row)
		}
	}
}

// profileRow shows what differs from generic, on each axis.
func profileRow(p, generic session.Profile) string {
	var answers []string
	for _, code := range slices.Sorted(maps.Keys(p.Codes)) {
		if class := p.Codes[code]; p.Name == generic.Name || class != generic.Codes[code] {
			answers = append(answers, fmt.Sprintf("`%s` %v", code, class))
		}
	}
	for _, status := range slices.Sorted(maps.Keys(p.Statuses)) {
		if class := p.Statuses[status]; p.Name == generic.Name || class != generic.Statuses[status] {
			answers = append(answers, fmt.Sprintf("%d %v", status, class))
		}
	}
	if len(answers) == 0 {
		answers = []string{"as generic"}
	}
	grace := "none"
	if p.Grace == session.Forever {
		grace = "for ever"
	} else if p.Grace > 0 {
		grace = p.Grace.Round(time.Second).String()
	}
	yes := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", p.Name, strings.Join(answers, ", "), grace, yes[p.EndsAccess], p.Replay, yes[p.SharedGrant])
}
