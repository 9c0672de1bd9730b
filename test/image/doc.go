// Package image builds the container image as `make image` does, reads it as a
// registry and a container engine would, and runs it from its files. There is no
// container engine in it: the process has the image's files as its root, its user
// and its environment, and nothing else. Its tests have the build tag "image".
package image
