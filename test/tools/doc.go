// Package tools gets what the tests of the Kubernetes parts run: helm, kubectl,
// the checkers of charts and manifests, a control plane, Prometheus, ko and the
// CRDs of others. All come from package registries at the versions pinned here,
// into the checkout's ignored folder .tools/, when they are first asked for;
// command gettool prints where they are. What cannot be got is an error that says
// what to do, never a reason to skip.
package tools
