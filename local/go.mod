module github.com/cupline/cupline/local

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	go.uber.org/goleak v1.3.0
)

require github.com/stretchr/testify v1.12.1 // indirect

replace github.com/cupline/cupline/schema => ../schema
