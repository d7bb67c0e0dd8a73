package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

const (
	tokenPrefix  = "cup_"
	keyIDBytes   = 10
	keyIDLength  = 16
	secretBytes  = 32
	secretLength = 43
)

var keyIDText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken makes a key id and a secret. Every character may stand in an HTTP header, a WebSocket
// subprotocol and a URL.
func newToken() (keyID, secret string) {
	var id [keyIDBytes]byte
	var bits [secretBytes]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process first
	_, _ = rand.Read(bits[:])
	return keyIDText.EncodeToString(id[:]), base64.RawURLEncoding.EncodeToString(bits[:])
}

func token(keyID, secret string) string { return tokenPrefix + keyID + "_" + secret }

// parseToken takes a token apart. ok is false for what newToken cannot have made.
func parseToken(token string) (keyID, secret string, ok bool) {
	rest, found := strings.CutPrefix(token, tokenPrefix)
	if !found {
		return "", "", false
	}
	keyID, secret, found = strings.Cut(rest, "_")
	if !found || len(keyID) != keyIDLength || len(secret) != secretLength {
		return "", "", false
	}
	for _, c := range []byte(keyID) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", "", false
		}
	}
	return keyID, secret, true
}

// KeyID is the id of the key that a token names, which is no secret. ok is false for what is no key's token.
func KeyID(token string) (id string, ok bool) {
	id, _, ok = parseToken(token)
	return id, ok
}

// Claimed is who a token that is not good says it is, for the record; it holds nothing secret.
func Claimed(token string) string {
	switch id, is := KeyID(token); {
	case is:
		return "key " + id
	case IsTicket(token):
		return "ticket"
	case strings.HasPrefix(token, "ey"): // JSON in base64, as JWTs begin
		return "token"
	}
	return ""
}

// hash is what is kept of a secret. It has 256 random bits: nothing slower is needed.
func hash(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }
