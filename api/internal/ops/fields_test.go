package ops

import (
	"testing"

	"github.com/google/uuid"
	"go.uber.org/zap/zapcore"

	"github.com/cupline/cupline/store/deadletter"
)

// What a redrive's line names: the command that it makes, and the letter that it is of.
func TestALineOfARedriveNamesTheCommand(t *testing.T) {
	t.Parallel()
	r := &deadletter.Redrive{}
	r.CommandID = uuid.New()
	r.Letter = deadletter.Letter{Tenant: "acme", Client: "web", ID: []byte("7"), Device: "lamp", Lane: "slow", Reason: "no_answer", LetterID: uuid.New()}
	line := zapcore.NewMapObjectEncoder()
	for _, f := range fields(r) {
		f.AddTo(line)
	}
	for field, want := range map[string]string{
		"tenant": "acme", "client": "web", "id": "7", "command_id": r.CommandID.String(), "letter_id": r.Letter.LetterID.String(),
		"device": "lamp", "lane": "slow", "reason": "no_answer",
	} {
		if line.Fields[field] != want {
			t.Errorf("%s is %v, want %s", field, line.Fields[field], want)
		}
	}
}
