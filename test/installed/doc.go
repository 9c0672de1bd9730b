// Package installed fills the checkout's ignored folders with programs that the
// tests run: once, whoever asks first, and whole or not at all.
package installed
