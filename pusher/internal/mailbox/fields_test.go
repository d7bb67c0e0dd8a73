package mailbox

import (
	"testing"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/mailbox"
)

// said is what a line says.
func said(fields []zap.Field) map[string]any {
	line := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(line)
	}
	return line.Fields
}

func TestALineOfAMailboxNamesTheOutcome(t *testing.T) {
	t.Parallel()
	command := uuid.New()
	got := said(fields(&mailbox.Item{Tenant: "acme", Client: "web", RawID: []byte(`"c-1"`), CommandID: command, Device: "lamp", Lane: "slow", Reason: "expired"}))
	for field, want := range map[string]string{
		"tenant": "acme", "client": "web", "id": `"c-1"`, "command_id": command.String(), "device": "lamp", "lane": "slow", "reason": "expired",
	} {
		if got[field] != want {
			t.Errorf("%s is %v, want %s", field, got[field], want)
		}
	}
	// Of what is no outcome the line says whose it was to be.
	got = said(parkedFields(&broker.Delivery{Message: message.Message{Key: topology.ReplyKey("acme", "web"), ID: "x"}}))
	if got["tenant"] != "acme" || got["client"] != "web" || got["reason"] != "malformed" || got["message_id"] != "x" {
		t.Errorf("%v", got)
	}
}
