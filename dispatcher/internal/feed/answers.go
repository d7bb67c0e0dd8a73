package feed

import (
	"context"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/topology"
)

// answersPrefetch bounds the answers of devices that are on their way through this
// process; each is handed on at once. They may be large, which is why it is not larger.
const answersPrefetch = 256

// ConsumeAnswers declares this dispatcher's own queue of devices' answers on each connect
// of link, and hands each answer with its routing key to take, which must not block. An
// answer is acknowledged whatever becomes of it: it can be of use to nobody else.
func ConsumeAnswers(link *broker.Link, dispatcher string, take func(key string, body []byte)) *broker.Consumer {
	ways := topology.Answers(dispatcher)
	link.OnUp("declare the queue of answers", func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, ways)
		return err
	})
	return broker.NewConsumer(link, broker.ConsumerConfig{
		Queue: topology.AnswersQueue(dispatcher), Prefetch: answersPrefetch, Exclusive: true,
		Handle: func(_ context.Context, d *broker.Delivery) {
			take(d.Key, d.Body)
			d.Ack()
		},
	})
}
