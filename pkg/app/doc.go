// Package app wires the process together and owns its life: [New] opens the
// store and builds every part, [App.Listen] serves the listeners, [App.Start]
// starts the background work, [App.Stop] takes everything down in the opposite
// order. [App.Run] is all of it. It is the only package that imports all others.
//
// The embedded store is opened behind bound listeners: that takes seconds when it is
// large, in which Checks wait instead of being refused.
//
// A process is never half up: whatever New or Listen has opened when a later
// step fails is closed again, and the error says what to do.
//
// Stopping is in this order, so that nothing that was promised is lost: the
// sweep stops, health says NOT_SERVING, Checks in flight finish, refreshes under
// way finish and are stored, last uses are flushed, the store is closed.
package app
