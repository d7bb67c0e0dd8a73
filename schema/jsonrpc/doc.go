// Package jsonrpc reads JSON-RPC 2.0 requests and responses as bytes: it checks the
// JSON (RFC 8259, UTF-8 included), finds the members that Cupline needs, and can put
// another id in place, and leaves every other byte as it came. Nothing is decoded
// that need not be, and nothing is written anew.
package jsonrpc
