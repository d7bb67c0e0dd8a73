//go:build unix

package socket

import (
	"errors"
	"syscall"
)

// await returns once there is something to read, an end or a deadline included; the next
// read tells which.
func (l *line) await() {
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(readable) // whatever it says, the next read says as well
}

// readable looks without taking. Only a look that finds nothing makes the runtime wait
// for what comes later.
func readable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if !errors.Is(err, syscall.EINTR) {
			return !errors.Is(err, syscall.EAGAIN)
		}
	}
}
