// Package cluster runs the part of Kubernetes that accepts or refuses manifests,
// for tests: a real kube-apiserver over a real etcd, on loopback, with temporary
// data. Nothing else runs, so no object becomes a pod, no namespace ever ends and
// nobody should wait for either.
package cluster
