package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// A password is dev_ID_SECRET: the id finds the row, and may be shown.
const (
	prefix       = "dev_"
	idBytes      = 10
	idLength     = 16
	secretBytes  = 32
	secretLength = 43
)

var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newPassword() (id, password string) {
	var name [idBytes]byte
	var bits [secretBytes]byte
	_, _ = rand.Read(name[:]) // never fails: crypto/rand ends the process first
	_, _ = rand.Read(bits[:])
	id = idText.EncodeToString(name[:])
	return id, prefix + id + "_" + base64.RawURLEncoding.EncodeToString(bits[:])
}

// ID is which credential a password claims to be, and may be shown; ok is false for what cannot be one.
func ID(password string) (id string, ok bool) { return idOf(password) }

// idOf takes the id out of a password. ok is false for what newPassword cannot have made.
func idOf(password string) (id string, ok bool) {
	rest, found := strings.CutPrefix(password, prefix)
	if !found || len(rest) != idLength+1+secretLength || rest[idLength] != '_' {
		return "", false
	}
	id = rest[:idLength]
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return id, true
}

// hashOf is what is kept of a password. It has 256 random bits: nothing slower is needed.
func hashOf(password string) [sha256.Size]byte { return sha256.Sum256([]byte(password)) }

// matches compares in constant time.
func matches(kept []byte, password string) bool {
	hash := hashOf(password)
	return subtle.ConstantTimeCompare(kept, hash[:]) == 1
}
