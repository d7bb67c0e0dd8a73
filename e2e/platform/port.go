package platform

import (
	"net"
	"strconv"
)

// port of an address that services has made; 0 when there is none.
func port(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
