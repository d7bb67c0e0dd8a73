package up

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells what is being done, with the seconds since the start. It is safe for
// concurrent use, and an io.Writer for those who report in lines.
type progress struct {
	began time.Time

	mu   sync.Mutex // guards the rest
	to   io.Writer
	rest []byte // of a line that is not whole yet
}

func newProgress(to io.Writer) *progress { return &progress{began: time.Now(), to: to} }

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(fmt.Sprintf(format, args...))
}

func (p *progress) print(text string) {
	fmt.Fprintf(p.to, "%5.1fs  %s\n", time.Since(p.began).Seconds(), text)
}

// Write prints each whole line.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.print(string(p.rest[:i]))
		p.rest = p.rest[i+1:]
	}
}

// plain prints without the time.
func (p *progress) plain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.to, text)
}
