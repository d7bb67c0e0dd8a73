module github.com/cupline/cupline/store

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	github.com/cupline/cupline/chassis v0.0.0
)

replace (
	github.com/cupline/cupline/schema => ../schema
	github.com/cupline/cupline/chassis => ../chassis
)
