package broker

import amqp "github.com/rabbitmq/amqp091-go"

// tokenHeader tells apart mandatory messages that are under way at the same time with the
// same exchange, key and message-id. All others travel without it.
const tokenHeader = "x-publish-token"

// identity is what a returned message still has of the one that was published.
type identity struct {
	exchange, key, id string
	token             int64
}

func (sub *submission) identity() identity {
	return identity{sub.exchange, sub.key, sub.content.MessageId, sub.token}
}

func identityOf(r *amqp.Return) identity {
	token, _ := r.Headers[tokenHeader].(int64)
	return identity{r.Exchange, r.RoutingKey, r.MessageId, token}
}

// expectReturn notes a mandatory message that is about to be sent. The first of an identity
// is found by it; while that one is under way, others with the same identity carry a token.
// Nothing else would do: of two alike, one may be routed and the other returned, if the
// queue was unbound in between, and saying "not executed" of the wrong one is a lie.
func (g *publishing) expectReturn(sub *submission) {
	if !sub.mandatory {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	id := sub.identity()
	if _, taken := g.mandatory[id]; !taken {
		g.mandatory[id] = sub
		return
	}
	g.tokens++
	sub.token = g.tokens
	headers := make(amqp.Table, len(sub.content.Headers)+1)
	for name, value := range sub.content.Headers {
		headers[name] = value
	}
	headers[tokenHeader] = sub.token
	sub.content.Headers = headers
	g.mandatory[sub.identity()] = sub
}

// returned forgets a message whose answer has come, and reports whether it was returned.
// The broker sends a return before the confirm of the same message, and the library hands
// both on in one goroutine; so a return that belongs to sub is in the channel by now.
func (g *publishing) returned(sub *submission) bool {
	if !sub.mandatory {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for more := true; more; {
		select {
		case r, ok := <-g.returns:
			if !ok {
				more = false
			} else if of := g.mandatory[identityOf(&r)]; of != nil {
				of.wasReturned = true
			}
		default:
			more = false
		}
	}
	delete(g.mandatory, sub.identity())
	return sub.wasReturned
}
