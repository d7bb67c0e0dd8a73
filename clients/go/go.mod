module github.com/cupline/cupline/clients/go

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	github.com/google/uuid v1.6.0
	github.com/gorilla/websocket v1.5.3
	go.uber.org/goleak v1.3.0
)

require github.com/stretchr/testify v1.12.1 // indirect

replace github.com/cupline/cupline/schema => ../../schema
