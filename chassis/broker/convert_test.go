package broker

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/message"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	m := message.Message{
		Exchange: "e", Key: "k", ID: "id", Type: "command", ContentType: "application/json", CorrelationID: "c",
		ReplyTo: "r", AppID: "a", Expiration: 1500 * time.Microsecond, Timestamp: at, Body: []byte("{}"),
		Headers: map[string]any{
			"qos": int8(0), "n": 3, "s": "x", "b": []byte{0}, "deep": map[string]any{"list": []any{1, "y", map[string]any{"z": true}}},
		},
	}
	got, err := encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	want := amqp.Publishing{
		Headers: amqp.Table{
			"qos": int8(0), "n": int64(3), "s": "x", "b": []byte{0},
			"deep": amqp.Table{"list": []any{int64(1), "y", amqp.Table{"z": true}}},
		},
		ContentType: "application/json", DeliveryMode: 2, CorrelationId: "c", ReplyTo: "r", Expiration: "2",
		MessageId: "id", Timestamp: at, Type: "command", AppId: "a", Body: []byte("{}"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %#v\nwant %#v", got, want)
	}
	if err := got.Headers.Validate(); err != nil {
		t.Fatalf("the library refuses it: %v", err)
	}
	if _, changed := m.Headers["n"].(int64); changed {
		t.Fatal("the caller's headers were changed")
	}
}

func TestHeadersThatNeedNoChangeAreNotCopied(t *testing.T) {
	t.Parallel()
	headers := map[string]any{"a": "b", "c": int64(1)}
	got, err := encodeTable(headers)
	if err != nil {
		t.Fatal(err)
	}
	headers["d"] = true
	if len(got) != 3 {
		t.Fatal("the map was copied")
	}
}

func TestWhatCannotBeEncodedIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for name, m := range map[string]message.Message{
		"key":         {Key: long},
		"exchange":    {Exchange: long},
		"id":          {ID: long},
		"reply to":    {ReplyTo: long},
		"header name": {Headers: map[string]any{long: 1}},
		"deep name":   {Headers: map[string]any{"a": []any{map[string]any{long: 1}}}},
		"header type": {Headers: map[string]any{"a": struct{}{}}},
		"unsigned":    {Headers: map[string]any{"a": uint8(0)}},
		"negative":    {Expiration: -time.Second},
		"for ever":    {Expiration: 100 * 24 * time.Hour},
	} {
		if _, err := encode(&m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	if _, err := encode(&message.Message{Key: long[:255]}); err != nil {
		t.Errorf("255 bytes: %v", err)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	d := amqp.Delivery{
		Exchange: "e", RoutingKey: "k", DeliveryMode: 1, MessageId: "id", Expiration: "1500", Body: []byte("x"), Redelivered: true,
		Headers: amqp.Table{
			"x-delivery-count": int64(3), "byte": uint8(200), "word": uint16(1), "long": uint32(1), "float": float32(0.5),
			"decimal": amqp.Decimal{Scale: 2, Value: 150},
			"x-death": []any{amqp.Table{"reason": "expired", "routing-keys": []any{"a"}, "count": int64(1)}},
		},
	}
	got := newDelivery(&d, 7)
	want := map[string]any{
		"x-delivery-count": int64(3), "byte": int16(200), "word": int32(1), "long": int64(1), "float": 0.5, "decimal": 1.5,
		"x-death": []any{map[string]any{"reason": "expired", "routing-keys": []any{"a"}, "count": int64(1)}},
	}
	if !reflect.DeepEqual(got.Headers, want) {
		t.Fatalf("got %#v", got.Headers)
	}
	if !got.Transient || got.Expiration != 1500*time.Millisecond || got.DeliveryCount != 3 || !got.Redelivered || got.Generation != 7 {
		t.Fatalf("got %+v", got)
	}
	if encoded, err := encodeTable(got.Headers); err != nil || encoded.Validate() != nil {
		t.Fatalf("what was read cannot be sent on: %v", err)
	}
	if decodeExpiration("soon") != 0 || decodeExpiration("") != 0 || decodeExpiration("-1") != 0 {
		t.Fatal("a bad expiration is none")
	}
}
