// Package faultstore is a store of record that fails when a test says so: it
// wraps another one and puts a [Rule] between the caller and each method.
//
// The contract leaves a caller in three kinds of doubt, and each has its rule:
// the call never arrived ([Down]), it took effect and the reply was lost
// ([LoseReply]), it takes its time ([Gate]).
package faultstore
