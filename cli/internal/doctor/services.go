package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cupline/cupline/cli/internal/connect"
)

// serviceLimit bounds one question to a service.
const serviceLimit = 10 * time.Second

// services asks the services: readiness at their internal addresses, and at all of them what
// time it is there.
func (p *patient) services(ctx context.Context) error {
	client := &http.Client{Timeout: serviceLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	asked := 0
	for _, name := range []string{connect.APIURL, connect.PushURL} {
		address := p.console.Getenv(name)
		if address == "" {
			continue
		}
		asked++
		if rest, is := strings.CutPrefix(address, "ws"); is {
			address = "http" + rest
		}
		// Any answer will do: it says that it is there, and what time it has.
		if _, _, err := p.ask(ctx, client, name, address); err != nil {
			p.bad(Services, name, err.Error(), "start the service, or correct "+name)
		}
	}
	for _, address := range p.options.services {
		asked++
		p.ready(ctx, client, strings.TrimRight(address, "/"))
	}
	if asked == 0 {
		p.unknown(Services, "not looked at: neither "+connect.APIURL+" nor "+connect.PushURL+" nor --service is set", "set them, and look again")
	}
	p.fine(Services, "%d asked, all answer", asked)
	if p.dated {
		p.fine(Clocks, "all within %s of the database's", p.skew)
	} else {
		p.unknown(Clocks, "the database was not asked for the time", "set "+connect.DatabaseURL)
	}
	return nil
}

// ready asks a service's internal port.
func (p *patient) ready(ctx context.Context, client *http.Client, address string) {
	status, body, err := p.ask(ctx, client, address, address+"/readyz")
	if err != nil {
		p.bad(Services, address, err.Error(), "start the service, or correct the address")
		return
	}
	var told struct {
		Status  string            `json:"status"`
		Missing map[string]string `json:"missing"`
	}
	if err := json.Unmarshal(body, &told); err != nil || told.Status == "" {
		p.bad(Services, address, fmt.Sprintf("answers %d at /readyz, and not as a service of Cupline", status), "name the internal address (CUPLINE_INTERNAL_ADDR)")
		return
	}
	if told.Status == "draining" {
		p.warn(Services, address, "is ending", "nothing, unless nobody meant it to")
	}
	for what, why := range told.Missing {
		p.bad(Services, address, what+": "+why, "mend what it names; the service is ready by itself then")
	}
}

// ask makes one request, and holds the clock of who answers against the database's.
func (p *patient) ask(ctx context.Context, client *http.Client, subject, address string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: it is no URL", subject)
	}
	asked := p.now()
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", subject, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", subject, err)
	}
	if told, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		p.clock(subject, asked, told)
	}
	return answer.StatusCode, body, nil
}

// clock holds what a clock said, when asked, against the database's. It is told to the second.
func (p *patient) clock(subject string, asked, told time.Time) {
	if !p.dated || told.IsZero() {
		return
	}
	const grain = time.Second
	answered := p.now()
	early, late := told.Sub(answered.Add(p.offset)), told.Add(grain).Sub(asked.Add(p.offset))
	switch {
	case early > p.skew:
		p.skewed(subject, early)
	case late < -p.skew:
		p.skewed(subject, late)
	}
}

func (p *patient) skewed(subject string, by time.Duration) {
	direction := "ahead of"
	if by < 0 {
		direction = "behind"
	}
	p.warn(Clocks, subject, fmt.Sprintf("%s %s the database's clock; no outcome hangs on it, but its logs, tokens' expiry and certificates do", by.Abs().Round(time.Second), direction),
		"run chrony or systemd-timesyncd on that machine")
}
