package httpapi

import (
	"context"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/store/mailbox"
)

// traceFetched goes on with the traces that outcomes were stored with; none begins here.
func (s *Server) traceFetched(items []mailbox.Item) {
	for i := range items {
		if item := &items[i]; item.Trace != "" {
			s.traceMailbox("fetch from mailbox", item.Trace, item.Tenant, item.Client, item.CommandID.String())
		}
	}
}

// tracesOf looks up the traces of what a client acks, by command id, while traces are made; without them the ack is the same.
func (s *Server) tracesOf(ctx context.Context, marks []mailbox.AckMark) map[uuid.UUID]string {
	if s.cfg.Tracer == nil {
		return nil
	}
	traces, err := s.cfg.Mailbox.Traces(ctx, marks)
	if err != nil {
		s.cfg.Log.Warn("the traces of acked outcomes are not known", zap.String("tenant", marks[0].Tenant),
			zap.String("client", marks[0].Client), zap.Error(err))
	}
	return traces
}

// traceAcked ends the ways of outcomes.
func (s *Server) traceAcked(tenant, client string, traces map[uuid.UUID]string) {
	for command, trace := range traces {
		s.traceMailbox("ack from mailbox", trace, tenant, client, command.String())
	}
}

func (s *Server) traceMailbox(name, trace, tenant, client, command string) {
	span := s.cfg.Tracer.Start(tracing.Server, name, tracing.Context{Parent: trace})
	span.Set("cupline.tenant", tenant)
	span.Set("cupline.client", client)
	span.Set("cupline.command_id", command)
	span.End()
}
