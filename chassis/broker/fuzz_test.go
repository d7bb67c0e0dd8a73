package broker

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/message"
)

// FuzzHeaders: headers of any shape that a broker may deliver are decoded to what can be encoded again.
func FuzzHeaders(f *testing.F) {
	f.Add("x-death", []byte("abc"), int64(7), uint8(3), "")
	f.Add("", []byte{}, int64(-1), uint8(255), "65535")
	f.Add("x", []byte{0, 255}, int64(1<<62), uint8(31), "-1")
	f.Fuzz(func(t *testing.T, name string, raw []byte, number int64, depth uint8, expiration string) {
		leaf := amqp.Table{name: raw, "u8": uint8(number), "u16": uint16(number), "u32": uint32(number), "i": number, "s": string(raw),
			"d": amqp.Decimal{Scale: uint8(number) % 10, Value: int32(number)}, "f": float32(number), "nil": nil, "b": number%2 == 0}
		for range depth % 40 {
			leaf = amqp.Table{"t": leaf, "a": []any{leaf["u8"], amqp.Table{"n": uint16(number)}}}
		}
		m := decode(&amqp.Delivery{Headers: leaf, Expiration: expiration, Body: raw})
		if m.Expiration < 0 {
			t.Errorf("expiration %s of %q", m.Expiration, expiration)
		}
		if _, err := encode(&message.Message{Headers: m.Headers, Body: m.Body}); err != nil && len(name) <= shortest {
			t.Errorf("what came cannot go: %v", err)
		}
	})
}
