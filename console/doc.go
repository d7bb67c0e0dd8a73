// Package console is the operators' web console: its files, embedded, and what serves them. The pages ask the API
// under /v1 as any other client does, with the operator's own key; the console itself knows nothing and may do nothing.
//
// The files below assets are what a browser runs, as they are: no step builds them.
package console

//go:generate sh -c "cp ../clients/js/src/*.js assets/vendor/client/"
