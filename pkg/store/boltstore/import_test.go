package boltstore_test

import (
	"path/filepath"
	"testing"

	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/test/logbook"
)

// What replaces a session takes its place in the subject index too.
func TestImportLeavesNoOldEntries(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "s.db"), ring(t, keyLine("k1")), new(logbook.Book))
	ses := create(t, s, 1)[0]
	ses.Revision, ses.Identity.Subject, ses.Identity.SID = 2, "another", ""
	if err := s.Import(t.Context(), store.NewRecord(ses)); err != nil {
		t.Fatal(err)
	}
	if subjects, _, err := s.Keys(); err != nil || subjects != 1 {
		t.Errorf("%d entries of one session, %v", subjects, err)
	}
}
