// Package watch tells when files hold something else than before.
//
// It reads them. Kubernetes swaps a mounted ConfigMap or Secret by a symbolic link
// above the files, an editor puts a new file in the place of the old one, and of a file
// in a network nobody tells: what they hold is what these have in common. Notices of
// the kernel (inotify) would come sooner, miss some of them, and are short on a busy
// node.
package watch
