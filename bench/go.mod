module github.com/cupline/cupline/bench

go 1.26.0

require (
	github.com/cupline/cupline/schema v0.0.0
	github.com/eclipse/paho.mqtt.golang v1.5.1
	github.com/gorilla/websocket v1.5.3
	github.com/rabbitmq/amqp091-go v1.16.0
	go.uber.org/goleak v1.3.0
)

replace (
	github.com/cupline/cupline/clients/go => ../clients/go
	github.com/cupline/cupline/local => ../local
	github.com/cupline/cupline/schema => ../schema
)
