// Package child runs another program so that it cannot outlive this one: the
// kernel kills it when its parent dies, and the terminal's Ctrl-C reaches it
// only through its parent, which decides the order in which things stop.
package child
