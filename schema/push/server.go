package push

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// Types of frame that the server sends.
const (
	TypeWelcome = "welcome"
	TypeOutcome = "outcome"
	TypeEvent   = "event"
	TypeLag     = "lag"
	TypePing    = "ping"
	TypeDrain   = "drain"
	TypeError   = "error"
)

// Welcome answers hello once the client is bound: from here on outcomes come.
type Welcome struct {
	Session string `json:"session"`
	Client  string `json:"client"`
	// Window is how many outcomes may be unacked.
	Window int `json:"window"`
	// Ping is the seconds of silence after which a ping comes.
	Ping int `json:"ping"`
	// Waiting outcomes are in the mailbox; Missed ones were refused for its quota.
	Waiting int64 `json:"waiting"`
	Missed  int64 `json:"missed"`
	// Reconnect is how many seconds a lost session's place is kept.
	Reconnect int `json:"reconnect"`
}

// Lag tells that outcomes go to the mailbox first, or that they have caught up.
type Lag struct {
	On      bool  `json:"on"`
	Waiting int64 `json:"waiting"`
}

// Drain asks the client to connect anew after In milliseconds.
type Drain struct {
	In int64 `json:"in"`
}

// Error reports a problem that does not close the socket by itself.
type Error struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Temporary bool   `json:"temporary"`
}

// Sources of an outcome.
const (
	SourceLive    = "live"
	SourceMailbox = "mailbox"
)

// Outcome carries one outcome to the client.
type Outcome struct {
	// Seq counts per session from 1; 0 leaves it out, as in GET /v1/mailbox.
	Seq       uint64
	ID        []byte // the client's own bytes: one JSON value, null when it could not be read
	CommandID string
	Redrive   int
	Device    string
	Method    string
	At        time.Time
	Origin    string
	Source    string
	Response  []byte // the JSON-RPC response
}

// Append writes the outcome as one JSON object to the end of dst.
func (o *Outcome) Append(dst []byte) []byte {
	dst = append(dst, `{"type":"outcome"`...)
	if o.Seq > 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendUint(dst, o.Seq, 10)
	}
	dst = append(dst, `,"id":`...)
	if len(o.ID) > 0 {
		dst = append(dst, o.ID...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = appendField(dst, `,"command_id":`, o.CommandID)
	dst = append(dst, `,"redrive":`...)
	dst = strconv.AppendInt(dst, int64(o.Redrive), 10)
	dst = appendField(dst, `,"device":`, o.Device)
	dst = appendField(dst, `,"method":`, o.Method)
	dst = append(dst, `,"at":"`...)
	dst = o.At.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, '"')
	dst = appendField(dst, `,"origin":`, o.Origin)
	dst = appendField(dst, `,"source":`, o.Source)
	dst = append(dst, `,"response":`...)
	dst = append(dst, o.Response...)
	return append(dst, '}')
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	if plain(value) {
		dst = append(dst, '"')
		dst = append(dst, value...)
		return append(dst, '"')
	}
	quoted, _ := json.Marshal(value) // a string cannot fail
	return append(dst, quoted...)
}

// plain strings need no escaping.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Encode writes any other server frame: the fields of v behind the type.
func Encode(kind string, v any) []byte {
	fields, err := json.Marshal(v)
	if err != nil || len(fields) <= 2 {
		return []byte(`{"type":"` + kind + `"}`)
	}
	b := make([]byte, 0, len(fields)+len(kind)+12)
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `",`...)
	return append(b, fields[1:]...)
}
