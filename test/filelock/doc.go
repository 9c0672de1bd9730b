// Package filelock keeps what several test processes would do at once, such as
// installing the same program into one folder, to one of them.
package filelock
