module github.com/cupline/cupline/api

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	github.com/cupline/cupline/chassis v0.0.0
	github.com/cupline/cupline/store v0.0.0
)

replace (
	github.com/cupline/cupline/schema => ../schema
	github.com/cupline/cupline/chassis => ../chassis
	github.com/cupline/cupline/store => ../store
)
