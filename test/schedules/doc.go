// Package schedules explores what two processes, one store and one provider can
// do to one session.
//
// Two engines, each with the real code of pkg/refresh and pkg/lifecycle, share a
// memstore and a provider in a bubble of fake time. Whatever one of them does
// that another could see (a step of the store, a token request, its answer) is
// held until the schedule lets it go: as it is, twice, with its reply lost, or
// not at all. Between two of those the schedule may crash a process, pause it,
// take the store away, log the user out, force a refresh or let time pass.
//
// A schedule is a list of choices. The first choice is always the ordinary
// course of things, so a schedule is told by where it departs from that. All
// schedules with few departures are played; longer ones are drawn at random.
// After each, everything is mended and the session has to come to rest.
//
// What must hold is in watch_test.go. That these rules can fail is shown by
// variants of store and flight with one rule broken, each of which is caught.
package schedules
