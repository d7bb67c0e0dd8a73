package app

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"

	"github.com/cupline/cupline/schema/topology"
)

// newDispatcherID makes an id for this process's topics that no other process has, or
// had: the machine's name, for people, and 8 random bytes.
func newDispatcherID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "" // only for people
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return identify(host, hex.EncodeToString(random))
}

// identify joins what of host may stand in an id, and the suffix.
func identify(host, suffix string) string {
	valid := strings.Map(func(r rune) rune {
		if topology.ValidID(string(r)) {
			return r
		}
		return '-'
	}, host)
	valid = valid[:min(len(valid), topology.MaxIDLength-len(suffix)-1)]
	if valid == "" {
		return suffix
	}
	return valid + "-" + suffix
}
