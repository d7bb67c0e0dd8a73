package brokertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/cupline/cupline/schema/topology"
)

// call asks the management API; answer may be nil.
func (b *Broker) call(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	status, content := b.request(t, method, path, body)
	gone := method == http.MethodDelete && status == http.StatusNotFound
	if status >= http.StatusBadRequest && !gone {
		t.Fatalf("management %s %s: %d: %s", method, path, status, content)
	}
	if answer != nil {
		if err := json.Unmarshal(content, answer); err != nil {
			t.Fatalf("management %s %s: %v", method, path, err)
		}
	}
}

func (b *Broker) request(t testing.TB, method, path string, body any) (status int, content []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("management %s %s: %v", method, path, err)
	}
	base := *b.management
	base.User = nil
	request, err := http.NewRequestWithContext(ctx, method, base.String()+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatalf("management %s %s: %v", method, path, err)
	}
	password, _ := b.management.User.Password()
	request.SetBasicAuth(b.management.User.Username(), password)
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // no idle connection outlives the test
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("management %s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("management %s %s: %v", method, path, err)
	}
	return response.StatusCode, content
}

type connection struct {
	Name  string `json:"name"`
	Vhost string `json:"vhost"`
	Given string `json:"user_provided_name"`
}

func (b *Broker) connections(t testing.TB) []connection {
	t.Helper()
	var all []connection
	b.call(t, http.MethodGet, "/api/connections", nil, &all)
	return slices.DeleteFunc(all, func(c connection) bool { return c.Vhost != b.vhost })
}

// Connections lists the names that this virtual host's connections gave themselves. The
// broker learns of new ones with a delay.
func (b *Broker) Connections(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, c := range b.connections(t) {
		names = append(names, c.Given)
	}
	slices.Sort(names)
	return names
}

// Cut makes the broker close the connections of these names, each of which must be there.
// It waits for the management to list them, which takes up to five seconds after they
// connected; a Proxy cuts at once.
func (b *Broker) Cut(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		Eventually(t, "the broker lists a connection named "+name, func() bool {
			cut := false
			for _, c := range b.connections(t) {
				if c.Given == name {
					b.call(t, http.MethodDelete, "/api/connections/"+url.PathEscape(c.Name), nil, nil)
					cut = true
				}
			}
			return cut
		})
	}
}

// Bindings lists the bindings that lead from an exchange, in no order; none when it is not there.
func (b *Broker) Bindings(t testing.TB, exchange string) []topology.Binding {
	t.Helper()
	var all []struct {
		Source          string `json:"source"`
		Destination     string `json:"destination"`
		DestinationType string `json:"destination_type"`
		Key             string `json:"routing_key"`
	}
	path := "/api/exchanges/" + b.vhost + "/" + url.PathEscape(exchange)
	if status, _ := b.request(t, http.MethodGet, path, nil); status == http.StatusNotFound {
		return nil
	}
	b.call(t, http.MethodGet, path+"/bindings/source", nil, &all)
	bindings := make([]topology.Binding, 0, len(all))
	for _, each := range all {
		bindings = append(bindings, topology.Binding{
			Source: each.Source, Key: each.Key, Destination: each.Destination, ToExchange: each.DestinationType == "exchange",
		})
	}
	return bindings
}

// DeleteExchange deletes an exchange with its bindings, as an operator would by mistake.
func (b *Broker) DeleteExchange(t testing.TB, exchange string) {
	t.Helper()
	b.call(t, http.MethodDelete, "/api/exchanges/"+b.vhost+"/"+url.PathEscape(exchange), nil, nil)
}

// User makes a user with these rights in the virtual host, deleted when the test ends, and returns its AMQP URL.
func (b *Broker) User(t testing.TB, configure, write, read string) string {
	t.Helper()
	name, password := "test-"+rand.Text(), rand.Text()
	b.call(t, http.MethodPut, "/api/users/"+name, map[string]string{"password": password, "tags": ""}, nil)
	t.Cleanup(func() { b.DeleteUser(t, name) })
	b.Grant(t, name, configure, write, read)
	own := *b.amqp
	own.User = url.UserPassword(name, password)
	return own.String()
}

// Grant gives a user rights in the virtual host, in place of those it has.
func (b *Broker) Grant(t testing.TB, user, configure, write, read string) {
	t.Helper()
	rights := map[string]string{"configure": configure, "write": write, "read": read}
	b.call(t, http.MethodPut, "/api/permissions/"+b.vhost+"/"+url.PathEscape(user), rights, nil)
}

// DeleteUser deletes a user of the whole broker, if it is there.
func (b *Broker) DeleteUser(t testing.TB, user string) {
	t.Helper()
	b.call(t, http.MethodDelete, "/api/users/"+url.PathEscape(user), nil, nil)
}
