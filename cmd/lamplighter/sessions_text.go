package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
)

// headline is what became of a session, in one sentence.
func headline(s admin.Session) string {
	if s.Ended != nil {
		return fmt.Sprintf("%s ended %s: %s (%s)", s.ID, when(s.EndedAt, s.AsOf), s.Why, s.Reason)
	}
	expired := !s.AsOf.Before(s.AccessToken.ExpiresAt)
	switch {
	case s.Attempt != nil:
		return fmt.Sprintf("%s is alive: a refresh is under way since %s (asked by: %s)", s.ID, stamp(s.Attempt.BeganAt), s.Attempt.By)
	case s.InDoubt:
		return fmt.Sprintf("%s is alive, but in doubt: the answer to a refresh was lost; it is asked for again from %s on", s.ID, stamp(s.ReplayAt))
	case s.Failures > 0:
		return fmt.Sprintf("%s is alive, but has failed to be refreshed (%s, times: %d): its access token %s", s.ID, s.LastClass, s.Failures, expiry(s))
	case !expired:
		return fmt.Sprintf("%s is alive: its access token is %s and %s", s.ID, s.AccessToken.Freshness, expiry(s))
	case s.Refreshable:
		return fmt.Sprintf("%s is alive: its access token %s, and the next request refreshes it", s.ID, expiry(s))
	default:
		return fmt.Sprintf("%s needs a login: its access token %s, and the provider gave no refresh token", s.ID, expiry(s))
	}
}

// refreshLine is what a forced refresh came to.
func refreshLine(before, after admin.Session) string {
	switch {
	case before.Live == nil || after.Live == nil:
		return headline(after)
	case after.Revision > before.Revision:
		return fmt.Sprintf("%s was refreshed: revision %d → %d, and its access token %s", after.ID, before.Revision, after.Revision, expiry(after))
	default:
		return fmt.Sprintf("%s was not refreshed again: its access token was issued %s", after.ID, when(after.AccessToken.IssuedAt, after.AsOf))
	}
}

func expiry(s admin.Session) string {
	if s.AsOf.Before(s.AccessToken.ExpiresAt) {
		return "expires " + when(s.AccessToken.ExpiresAt, s.AsOf)
	}
	return "expired " + when(s.AccessToken.ExpiresAt, s.AsOf)
}

// writeText writes the sentence, the facts and the history.
func writeText(w io.Writer, s admin.Session, first string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n\n", first)
	if s.Live != nil {
		writeLive(t, s)
	} else {
		fmt.Fprintf(t, "ended\t%s\n", moment(s.EndedAt, s.AsOf))
	}
	_ = t.Flush() // the last one tells: a writer that failed goes on failing
	fmt.Fprintln(t)
	if len(s.History) == 0 {
		fmt.Fprintln(t, "no refresh yet")
		return t.Flush()
	}
	fmt.Fprintln(t, "REFRESH BEGAN\tASKED BY\tOUTCOME\tREVISION")
	for _, o := range s.History {
		outcome, revision := o.Class, fmt.Sprint(o.Revision)
		if o.Replay {
			outcome += ", asked again"
		}
		if o.Class == "renewed" {
			revision = fmt.Sprintf("%d → %d", o.Revision, o.Revision+1)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", stamp(o.At), o.By, outcome, revision)
	}
	return t.Flush()
}

func writeLive(w io.Writer, s admin.Session) {
	fmt.Fprintf(w, "login\t%s\n", moment(s.CreatedAt, s.AsOf))
	fmt.Fprintf(w, "last use\t%s\n", moment(s.UsedAt, s.AsOf))
	fmt.Fprintf(w, "ends at the latest\t%s\n", moment(s.EndsAt, s.AsOf))
	fmt.Fprintf(w, "access token\trevision %d, issued %s for %v\n", s.Revision, moment(s.AccessToken.IssuedAt, s.AsOf), time.Duration(s.AccessToken.LifetimeSeconds)*time.Second)
	switch {
	case !s.Refreshable:
		fmt.Fprintf(w, "next refresh\tnever: the provider gave no refresh token\n")
	case s.DueAt.IsZero():
		fmt.Fprintf(w, "next refresh\tat a request\n")
	default:
		fmt.Fprintf(w, "next refresh\t%s\n", moment(s.DueAt, s.AsOf))
	}
	fmt.Fprintf(w, "app\t%s\n", s.App)
	fmt.Fprintf(w, "provider\t%s\n", s.Provider)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func moment(t, now time.Time) string { return fmt.Sprintf("%s (%s)", stamp(t), when(t, now)) }

// when tells t from now in the largest unit that there are at least two of.
func when(t, now time.Time) string {
	d := t.Sub(now)
	age := d.Abs()
	var span string
	switch {
	case age < 2*time.Second:
		return "just now"
	case age < 2*time.Minute:
		span = fmt.Sprintf("%d seconds", age/time.Second)
	case age < 2*time.Hour:
		span = fmt.Sprintf("%d minutes", age/time.Minute)
	case age < 48*time.Hour:
		span = fmt.Sprintf("%d hours", age/time.Hour)
	default:
		span = fmt.Sprintf("%d days", age/(24*time.Hour))
	}
	if d > 0 {
		return "in " + span
	}
	return span + " ago"
}
