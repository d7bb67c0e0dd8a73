package cupline

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where the platform is and who asks.
type Config struct {
	// URL is the API's address, http:// or https://. Required for everything but Listen.
	URL string
	// PushURL is the pusher's address: ws://, wss://, http:// or https://. The path
	// /v1/connect is added where it has none. Required for Listen.
	PushURL string
	// Key is the API key. Either it or Token is required.
	Key string
	// Token fetches what to ask with, for tokens that end: before each connection of a Listener unless the last one says
	// that it is still good, before that one ends (the new one is handed over without a reconnect), and once more where a
	// command was refused for it.
	Token TokenSource
	// HTTP makes the requests; nil is a client of its own. Its Timeout should be 0: Timeout
	// below does that job, and a long poll takes longer.
	HTTP *http.Client
	// Timeout bounds each request, the wait of a long poll not counted. 0 is 10 s.
	Timeout time.Duration
}

const defaultTimeout = 10 * time.Second

// Client talks to one platform as one client of a tenant. It is safe for concurrent use.
type Client struct {
	api     *url.URL
	push    *url.URL
	tokens  *tokens
	http    *http.Client
	timeout time.Duration
}

// New checks the settings and reports every problem at once. It connects to nothing.
func New(cfg Config) (*Client, error) {
	c := &Client{tokens: &tokens{source: cfg.Token, current: Token{Value: cfg.Key}}, http: cfg.HTTP, timeout: cfg.Timeout}
	var problems []error
	var err error
	if c.api, err = parseURL("URL", cfg.URL, "http", "https"); err != nil {
		problems = append(problems, err)
	}
	if c.push, err = parseURL("PushURL", cfg.PushURL, "ws", "wss", "http", "https"); err != nil {
		problems = append(problems, err)
	}
	if c.api == nil && c.push == nil && len(problems) == 0 {
		problems = append(problems, errors.New("neither URL nor PushURL is there"))
	}
	if (cfg.Key == "") == (cfg.Token == nil) {
		problems = append(problems, errors.New("neither Key nor Token, or both"))
	}
	if cfg.Key != "" && !sound(cfg.Key) {
		problems = append(problems, errors.New("a Key with spaces in it"))
	}
	if cfg.Timeout < 0 {
		problems = append(problems, errors.New("a negative Timeout"))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("make a Cupline client: %w", errors.Join(problems...))
	}
	if c.http == nil {
		c.http = &http.Client{Transport: transport(), CheckRedirect: noRedirect}
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	return c, nil
}

// transport keeps enough idle connections for a client that sends concurrently.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	return t
}

// noRedirect hands a redirect back as the answer: following one would repeat a command elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func parseURL(field, text string, schemes ...string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme && u.Host != "" {
			u.Path = strings.TrimRight(u.Path, "/")
			return u, nil
		}
	}
	return nil, fmt.Errorf("%s %q: must begin with %s://", field, u.Redacted(), strings.Join(schemes, ":// or "))
}

// CloseIdle closes connections that are kept for later requests.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }
