// Package trial is how a device misbehaves on purpose, for those who test a platform
// against it. Each execution is written down as the relay's are.
package trial

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"

	"github.com/cupline/cupline/agent/internal/basic"
	"github.com/cupline/cupline/agent/internal/relay"
	"github.com/cupline/cupline/agent/internal/rpc"
)

// maxHuge bounds what test.huge answers, in bytes.
const maxHuge = 64 << 20

// Add puts the misbehaving methods into the table.
func Add(t rpc.Table, r *relay.Relay) {
	for name, method := range map[string]rpc.Method{
		"test.late":     basic.Sleep, // after {"seconds":n}, however late that is
		"test.twice":    twice,
		"test.never":    never,
		"test.garbage":  garbage,
		"test.other_id": otherID,
		"test.huge":     huge,
		"test.lines":    lines,
		"test.error":    fail,
		"test.crash":    crash,
	} {
		t[name] = func(ctx context.Context, c rpc.Call) (any, error) {
			if _, err := r.Execute(c, r.On()); err != nil {
				return nil, err
			}
			return method(ctx, c)
		}
	}
}

func answer(id []byte, result string) []byte {
	return bytes.Join([][]byte{[]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"result":` + result + `}`)}, nil)
}

// twice sends its answer two times.
func twice(_ context.Context, c rpc.Call) (any, error) {
	return rpc.Raw{answer(c.ID, `"first"`), answer(c.ID, `"second"`)}, nil
}

// never answers nothing at all.
func never(context.Context, rpc.Call) (any, error) { return rpc.Raw{}, nil }

// garbage answers bytes that are neither JSON nor UTF-8.
func garbage(context.Context, rpc.Call) (any, error) {
	return rpc.Raw{[]byte("\x00\xff\xfe not an answer {")}, nil
}

// otherID answers under the id that {"id":...} gives, else under one that nobody has.
func otherID(_ context.Context, c rpc.Call) (any, error) {
	var params struct {
		ID json.RawMessage `json:"id"`
	}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	if params.ID == nil {
		params.ID = []byte(`"` + rand.Text() + `"`)
	}
	return rpc.Raw{answer(params.ID, `"for another"`)}, nil
}

// huge answers a string of {"bytes":n}, 10 MiB unless told.
func huge(_ context.Context, c rpc.Call) (any, error) {
	params := struct {
		Bytes int `json:"bytes"`
	}{Bytes: 10 << 20}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	if params.Bytes < 0 || params.Bytes > maxHuge {
		return nil, rpc.BadParams("bytes must be 0 to %d", maxHuge)
	}
	return string(bytes.Repeat([]byte("x"), params.Bytes)), nil
}

// lines answers correctly, over several lines.
func lines(_ context.Context, c rpc.Call) (any, error) {
	return rpc.Raw{bytes.Join([][]byte{[]byte("{\n\t\"jsonrpc\": \"2.0\",\r\n\t\"id\": "), c.ID, []byte(",\n\t\"result\": \"lines\"\n}\n")}, nil)}, nil
}

// fail answers the error object that {"code":n,"message":"..."} gives.
func fail(_ context.Context, c rpc.Call) (any, error) {
	params := struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{Code: 1, Message: "failed on purpose"}
	if err := c.Bind(&params); err != nil {
		return nil, err
	}
	return nil, &rpc.Error{Code: params.Code, Message: params.Message}
}

// crash ends the process at once, as a power cut would.
func crash(context.Context, rpc.Call) (any, error) {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	return nil, err
}
