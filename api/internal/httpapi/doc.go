// Package httpapi is api's HTTP face: routes, bodies, answers, and the one table from
// problems to statuses. It is the only home of Echo. What it accepts and answers is
// described in schema/openapi.yaml, which a test holds it to.
package httpapi
