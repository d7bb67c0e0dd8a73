package mailbox

import (
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/mailbox"
)

// fields name an outcome in a log line.
func fields(item *mailbox.Item) []zap.Field {
	return []zap.Field{
		zap.String("tenant", item.Tenant), zap.String("client", item.Client), zap.ByteString("id", item.RawID),
		zap.Stringer("command_id", item.CommandID), zap.String("device", item.Device), zap.String("lane", item.Lane),
		zap.String("reason", item.Reason), telemetry.TraceID(item.Trace),
	}
}

// parkedFields name an outcome as far as it can be read.
func parkedFields(d *broker.Delivery) []zap.Field {
	known := []zap.Field{zap.String("key", d.Key), zap.String("message_id", d.ID), zap.String("type", d.Type)}
	item, err := parse(&d.Message)
	if err != nil {
		item.Tenant, item.Client, _ = topology.ParseReplyKey(d.Key)
		return append(known, zap.String("tenant", item.Tenant), zap.String("client", item.Client), zap.String("reason", "malformed"))
	}
	item.Reason = string(outcome.Unrecordable)
	return append(known, fields(&item)...)
}
