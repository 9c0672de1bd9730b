// Package chart holds what k8s/chart may be given, as Go types, and judges what
// comes out of it.
//
// [Schema] is values.schema.json: the types of this package, and below config the
// schema of lamplighter's own configuration. `go test ./test/chart -update` writes
// it, the chart's copy of Envoy's template and the patches of k8s/kustomize anew.
//
// With the build tag kubernetes the tests call the real tools, which test/tools
// gets: helm renders and lints, kubectl-validate judges by Kubernetes' schemas and
// the CRDs of Istio, Gateway API and the Prometheus operator, kustomize builds.
// Each configuration that is rendered is read by pkg/config, and each bootstrap of
// Envoy is compared with what `lamplighter print envoy` says.
package chart
