// Package http is the driver for devices that take JSON-RPC 2.0 as a POST to their URL
// (the address {"url":"http://..."}), and answer in the response's body with status 200.
//
// Nothing makes it send a request twice: net/http repeats a request on another connection
// when it holds it to be replayable, so it is given a body that it cannot rewind and no
// Idempotency-Key. Only a request of which not one byte was written, on a kept connection
// that the device had closed, is sent on a new one.
//
// Devices' addresses are data that tenants write, so the networks that may be called are
// an allow-list, checked on the very address that is dialled, after name resolution.
// Redirects are not followed, proxies of the environment not used.
package http
