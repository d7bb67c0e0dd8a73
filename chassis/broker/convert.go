package broker

import (
	"fmt"
	"math"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/message"
)

// shortest is AMQP's limit for names, keys and properties, in bytes. A longer one must
// never reach the library: it would notice in the middle of a frame, and drop the connection.
const shortest = 255

// encode turns a message into what the library publishes. The body is not copied, nor are
// headers that need no change. The error is ErrInvalid.
func encode(m *message.Message) (amqp.Publishing, error) {
	for _, field := range [...]struct{ name, value string }{
		{"exchange", m.Exchange}, {"key", m.Key}, {"id", m.ID}, {"type", m.Type}, {"content type", m.ContentType},
		{"correlation id", m.CorrelationID}, {"reply to", m.ReplyTo}, {"app id", m.AppID},
	} {
		if len(field.value) > shortest {
			return amqp.Publishing{}, fmt.Errorf("%w: %s has %d bytes of at most %d", ErrInvalid, field.name, len(field.value), shortest)
		}
	}
	headers, err := encodeTable(m.Headers)
	if err != nil {
		return amqp.Publishing{}, err
	}
	expiration, err := encodeExpiration(m.Expiration)
	if err != nil {
		return amqp.Publishing{}, err
	}
	p := amqp.Publishing{
		Headers: headers, ContentType: m.ContentType, DeliveryMode: amqp.Persistent,
		CorrelationId: m.CorrelationID, ReplyTo: m.ReplyTo, Expiration: expiration, MessageId: m.ID,
		Timestamp: m.Timestamp, Type: m.Type, AppId: m.AppID, Body: m.Body,
	}
	if m.Transient {
		p.DeliveryMode = amqp.Transient
	}
	return p, nil
}

// encodeExpiration writes whole milliseconds, rounded up: 0 would mean at once.
func encodeExpiration(d time.Duration) (string, error) {
	if d == 0 {
		return "", nil
	}
	ms := int64((d + time.Millisecond - 1) / time.Millisecond)
	if d < 0 || ms > math.MaxUint32 {
		return "", fmt.Errorf("%w: expiration %s", ErrInvalid, d)
	}
	return strconv.FormatInt(ms, 10), nil
}

// encodeTable checks headers or arguments, and returns the same map unless a value must be
// changed for the library, which it then does in a copy.
func encodeTable(headers map[string]any) (amqp.Table, error) {
	table, copied := amqp.Table(headers), false
	for name, value := range headers {
		if len(name) > shortest {
			return nil, fmt.Errorf("%w: header name has %d bytes of at most %d", ErrInvalid, len(name), shortest)
		}
		encoded, changed, err := encodeValue(value)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if !changed {
			continue
		}
		if !copied {
			table, copied = make(amqp.Table, len(headers)), true
			for n, v := range headers {
				table[n] = v
			}
		}
		table[name] = encoded
	}
	return table, nil
}

// encodeValue returns the library's form of one value, and whether that is another value.
// An int8 stays one ('b' on the wire): a device's MQTT session dies of an unsigned byte.
func encodeValue(value any) (encoded any, changed bool, err error) {
	switch v := value.(type) {
	case nil, string, []byte, bool, int8, int16, int32, int64, float32, float64, time.Time:
		return value, false, nil
	case int:
		return int64(v), true, nil // the library would cut it to 32 bits
	case map[string]any:
		table, err := encodeTable(v)
		return table, true, err
	case []any:
		array := make([]any, len(v))
		for i, element := range v {
			if array[i], _, err = encodeValue(element); err != nil {
				return nil, false, err
			}
		}
		return array, true, nil
	}
	return nil, false, fmt.Errorf("%w: AMQP has no type for %T", ErrInvalid, value)
}

// decode turns a delivery into a message. The body and the headers' map are handed over.
func decode(d *amqp.Delivery) message.Message {
	return message.Message{
		Exchange: d.Exchange, Key: d.RoutingKey, Transient: d.DeliveryMode != amqp.Persistent,
		ID: d.MessageId, Type: d.Type, ContentType: d.ContentType, CorrelationID: d.CorrelationId,
		ReplyTo: d.ReplyTo, AppID: d.AppId, Expiration: decodeExpiration(d.Expiration), Timestamp: d.Timestamp,
		Headers: decodeTable(d.Headers), Body: d.Body,
	}
}

// decodeExpiration is 0 for none, and for what no broker should have let through.
func decodeExpiration(s string) time.Duration {
	ms, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// decodeTable changes the table in place to the types that message.Message promises.
func decodeTable(table amqp.Table) map[string]any {
	for name, value := range table {
		if decoded, changed := decodeValue(value); changed {
			table[name] = decoded
		}
	}
	return table
}

func decodeValue(value any) (decoded any, changed bool) {
	switch v := value.(type) {
	case amqp.Table:
		return decodeTable(v), true
	case []any:
		for i, element := range v {
			v[i], _ = decodeValue(element)
		}
		return v, false
	case uint8:
		return int16(v), true
	case uint16:
		return int32(v), true
	case uint32:
		return int64(v), true
	case float32:
		return float64(v), true
	case amqp.Decimal:
		return float64(v.Value) / math.Pow10(int(v.Scale)), true
	}
	return value, false
}
