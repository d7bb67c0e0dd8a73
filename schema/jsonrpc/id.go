package jsonrpc

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Limits of a client's id.
const (
	// MaxIDCharacters is the longest string id, in Unicode code points.
	MaxIDCharacters = 128
	// MaxIDInteger is the largest magnitude of an integer id: 2^53, past which
	// JavaScript no longer tells neighbours apart.
	MaxIDInteger = 1 << 53
)

// ID is a client's own name for its command. The zero value is no id: a one-way command.
type ID struct {
	// Raw holds the bytes as the client wrote them; they go back to it unchanged.
	Raw []byte
	// Key is the decoded value behind its type, for comparing: "s:c-42", "i:42".
	// So 1 and "1" differ, and "a" and "\u0061" are the same.
	Key string
}

// Present reports whether the request had an id.
func (id ID) Present() bool { return len(id.Raw) > 0 }

// ParseID reads an id from the bytes of one JSON value. Its error says what an id may be.
func ParseID(raw []byte) (ID, error) {
	if len(raw) == 0 {
		return ID{}, errors.New("there is no id")
	}
	switch c := raw[0]; {
	case c == '"':
		return stringID(raw)
	case c == '-' || '0' <= c && c <= '9':
		return integerID(raw)
	case c == 'n':
		return ID{}, errors.New("must not be null; leave id out for a one-way command")
	}
	return ID{}, errors.New("must be a string or an integer")
}

func stringID(raw []byte) (ID, error) {
	// Four bytes for each code point, or twelve for an escaped surrogate pair, and the quotes.
	if len(raw) > 12*MaxIDCharacters+2 {
		return ID{}, tooLong()
	}
	text, err := unquote(raw)
	if err != nil {
		return ID{}, err
	}
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return ID{}, errors.New("must not be empty")
	case n > MaxIDCharacters:
		return ID{}, tooLong()
	}
	return ID{Raw: raw, Key: "s:" + text}, nil
}

func tooLong() error {
	return errors.New("must be at most " + strconv.Itoa(MaxIDCharacters) + " characters")
}

func integerID(raw []byte) (ID, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && (n > MaxIDInteger || n < -MaxIDInteger):
		return ID{}, errors.New("must be within 2^53 when it is a number; use a string")
	case err != nil:
		return ID{}, errors.New("must be a plain integer when it is a number, without fraction or exponent")
	}
	return ID{Raw: raw, Key: "i:" + strconv.FormatInt(n, 10)}, nil
}

// unquote decodes a JSON string that the scanner has checked. A lone surrogate
// stands for no character; decoding would make different ids equal, so it is refused.
func unquote(quoted []byte) (string, error) {
	if plain := quoted[1 : len(quoted)-1]; !hasEscape(plain) {
		return string(plain), nil
	}
	if hasLoneSurrogate(quoted) {
		return "", errors.New("must not have half a surrogate pair")
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return "", errors.New("must be a JSON string")
	}
	return text, nil
}

func hasEscape(b []byte) bool {
	for _, c := range b {
		if c == '\\' {
			return true
		}
	}
	return false
}

func hasLoneSurrogate(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		i++
		if b[i] != 'u' {
			continue
		}
		switch high := unit(b, i+1); {
		case high >= 0xDC00 && high <= 0xDFFF:
			return true
		case high >= 0xD800 && high <= 0xDBFF:
			if i+6 >= len(b) || b[i+5] != '\\' || b[i+6] != 'u' {
				return true
			}
			if low := unit(b, i+7); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 10
		default:
			i += 4
		}
	}
	return false
}

// unit reads the four hexadecimal digits at i, or -1.
func unit(b []byte, i int) int {
	if i+4 > len(b) {
		return -1
	}
	n, err := strconv.ParseUint(string(b[i:i+4]), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}
