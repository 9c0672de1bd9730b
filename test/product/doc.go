// Package product runs the whole product in one process and in fake time: the
// real app over the real provider of test/op, with a gateway that treats
// requests as Envoy does instead of a network. A day passes in a second.
package product
