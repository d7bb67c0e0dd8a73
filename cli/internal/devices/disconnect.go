package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

func disconnect(c *console.Console) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "disconnect DEVICE --tenant TENANT", Short: "End the connections of a device (operators)", Args: cobra.ExactArgs(1),
		Long: `End the connections of a device at the broker, through RABBITMQ_MANAGEMENT_URL, whose user has to be an
administrator of the broker. After a credential was revoked, or the device deleted, the platform does that by itself where a
dispatcher has CUPLINE_DEVICES_MANAGEMENT_URL; a device whose credential is good comes back at once.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := connect.Require(c, connect.ManagementURL)
			if err != nil {
				return err
			}
			for field, id := range map[string]string{"device": args[0], "tenant": tenant} {
				if err := topology.CheckID(field, id); err != nil {
					return exit.With(exit.Usage, err)
				}
			}
			n, err := endConnections(cmd.Context(), values[0], device.Login(tenant, args[0]))
			if err != nil {
				return err
			}
			c.Note("ended %d connections of device %s", n, args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the device's tenant")
	_ = cmd.MarkFlagRequired("tenant") // the flag is there
	return cmd
}

// endConnections ends all connections of a user, and tells how many there were.
func endConnections(ctx context.Context, management, user string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var found []struct{ Name string }
	at := "/api/connections/username/" + url.PathEscape(user)
	if err := manage(ctx, management, http.MethodGet, at, &found); err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, nil
	}
	// All at once: one by one the broker finds them only some seconds after they were made, and says yes all the same.
	if err := manage(ctx, management, http.MethodDelete, at, nil); err != nil {
		return 0, err
	}
	return len(found), nil
}

// manage asks the broker's management API. What is not there any more is as well as deleted.
func manage(ctx context.Context, management, method, path string, into any) error {
	at, err := url.Parse(management)
	if err != nil || at.Host == "" {
		return exit.Usagef("%s: must be http://user:password@host:port", connect.ManagementURL)
	}
	user := at.User
	at.User = nil
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(at.String(), "/")+path, nil)
	if err != nil {
		return fmt.Errorf("ask the broker's management API: %w", err)
	}
	if user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	request.Close = true // a command asks once or twice
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the broker's management API: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound && method == http.MethodDelete {
		return nil
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("ask the broker's management API: %s %s: it answers %s", method, path, answer.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of the broker's management API: %w", err)
	}
	return nil
}
