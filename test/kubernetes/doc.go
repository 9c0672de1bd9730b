// Package kubernetes asks a real API server what it thinks of the chart and of the
// manifests: the chart is installed, upgraded, rolled back and uninstalled with
// every ci/*-values.yaml, every manifest is applied, and broken copies of each are
// refused. It ends with a summary for k8s/README.md, whose own commands are run too.
//
// The tests have the build tag kubernetes: make k8s-test runs them, and the first
// time it builds the control plane of package cluster.
package kubernetes
