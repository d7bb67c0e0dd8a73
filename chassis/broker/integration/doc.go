// Package integration holds the broker package's tests and benchmarks that need a real
// broker. With -short none of them is run; those that need nothing are beside the code.
package integration
