module github.com/cupline/cupline/verify

go 1.26.0

require (
	github.com/cupline/cupline/clients/go v0.0.0
	github.com/cupline/cupline/schema v0.0.0
	github.com/eclipse/paho.mqtt.golang v1.5.1
)

require (
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
)

replace (
	github.com/cupline/cupline/clients/go => ../clients/go
	github.com/cupline/cupline/schema => ../schema
)
