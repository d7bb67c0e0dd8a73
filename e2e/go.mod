module github.com/cupline/cupline/e2e

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	github.com/cupline/cupline/local v0.0.0
	github.com/cupline/cupline/clients/go v0.0.0
)

replace (
	github.com/cupline/cupline/schema => ../schema
	github.com/cupline/cupline/local => ../local
	github.com/cupline/cupline/clients/go => ../clients/go
)
