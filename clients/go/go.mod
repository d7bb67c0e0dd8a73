module github.com/cupline/cupline/clients/go

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
)

replace (
	github.com/cupline/cupline/schema => ../../schema
)
