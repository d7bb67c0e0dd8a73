package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cupline/cupline/bench/internal/load"
)

// askLimit bounds one question to the intake.
const askLimit = 10 * time.Second

// Leftover is an error when a client's mailbox holds anything: every outcome has been received by then.
func (p *Platform) Leftover(ctx context.Context) error {
	var left []error
	for _, client := range p.Clients {
		waiting, err := p.waiting(ctx, client)
		if err != nil {
			return fmt.Errorf("look into the mailbox of %s: %w", client.ID, err)
		}
		if waiting > 0 {
			left = append(left, fmt.Errorf("the mailbox of %s still holds %d outcomes", client.ID, waiting))
		}
	}
	return errors.Join(left...)
}

func (p *Platform) waiting(ctx context.Context, client *load.Client) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.API+"/v1/mailbox", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+client.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the answer is %s", response.Status)
	}
	var mailbox struct {
		Waiting int `json:"waiting"`
	}
	if err := json.NewDecoder(response.Body).Decode(&mailbox); err != nil {
		return 0, err
	}
	return mailbox.Waiting, nil
}
