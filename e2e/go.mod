module github.com/cupline/cupline/e2e

go 1.26.0

require (
	github.com/cupline/cupline/chassis v0.0.0
	github.com/cupline/cupline/clients/go v0.0.0
	github.com/cupline/cupline/local v0.0.0
	github.com/cupline/cupline/schema v0.0.0
	github.com/cupline/cupline/verify v0.0.0
	github.com/jackc/pgx/v5 v5.12.0
	go.opentelemetry.io/proto/otlp v1.11.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/eclipse/paho.mqtt.golang v1.5.1 // indirect
	github.com/go-jose/go-jose/v4 v4.1.8 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.30.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	go.opentelemetry.io/otel/sdk/metric v1.47.0 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260928230214-8a89bd6388cc // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260928230214-8a89bd6388cc // indirect
	google.golang.org/grpc v1.83.2 // indirect
)

replace (
	github.com/cupline/cupline/clients/go => ../clients/go
	github.com/cupline/cupline/local => ../local
	github.com/cupline/cupline/schema => ../schema
	github.com/cupline/cupline/verify => ../verify
)

replace github.com/cupline/cupline/chassis => ../chassis
