package topology

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/schema/topology"
)

// exchange, queue and binding are how they are printed as JSON.
type exchange struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Durable     bool   `json:"durable"`
	Alternate   string `json:"alternate_exchange,omitempty"`
	Predeclared bool   `json:"predeclared,omitempty"`
}

type queue struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

type binding struct {
	Source      string `json:"source"`
	Key         string `json:"routing_key"`
	Destination string `json:"destination"`
	ToExchange  bool   `json:"to_exchange,omitempty"`
}

type whole struct {
	Exchanges []exchange `json:"exchanges"`
	Queues    []queue    `json:"queues"`
	Bindings  []binding  `json:"bindings"`
	Users     []user     `json:"users"`
}

type user struct {
	Name string `json:"name"`
	rights
	Topics []topicRight `json:"topics,omitempty"`
	Tags   []string     `json:"tags,omitempty"`
}

func printed(t topology.Topology, prefix string) whole {
	w := whole{Exchanges: []exchange{}, Queues: []queue{}, Bindings: []binding{}}
	for _, e := range t.Exchanges {
		w.Exchanges = append(w.Exchanges, exchange{e.Name, string(e.Kind), e.Durable, e.Alternate, e.Predeclared})
	}
	for _, q := range t.Queues {
		w.Queues = append(w.Queues, queue{q.Name, q.Arguments})
	}
	for _, b := range t.Bindings {
		w.Bindings = append(w.Bindings, binding{b.Source, b.Key, b.Destination, b.ToExchange})
	}
	for _, u := range topology.Users() {
		w.Users = append(w.Users, user{
			Name: topology.UserName(prefix, u.Role), rights: rights{u.Configure, u.Write, u.Read}, Topics: topicRights(u), Tags: u.Tags,
		})
	}
	return w
}

func tables(w *strings.Builder, t topology.Topology, prefix string) {
	var rows [][]string
	for _, e := range t.Exchanges {
		life := "durable"
		if !e.Durable {
			life = "transient"
		}
		rows = append(rows, []string{e.Name, string(e.Kind), life, e.Alternate})
	}
	console.Table(w, "exchange type life alternate", rows)
	fmt.Fprintln(w)
	rows = nil
	for _, b := range t.Bindings {
		kind := "queue"
		if b.ToExchange {
			kind = "exchange"
		}
		rows = append(rows, []string{b.Source, b.Key, kind, b.Destination})
	}
	console.Table(w, "from routing-key to destination", rows)
	fmt.Fprintln(w)
	rows = nil
	for _, q := range t.Queues {
		for i, name := range slices.Sorted(maps.Keys(q.Arguments)) {
			first := q.Name
			if i > 0 {
				first = " "
			}
			rows = append(rows, []string{first, name, fmt.Sprint(q.Arguments[name])})
		}
	}
	console.Table(w, "queue argument value", rows)
	fmt.Fprintln(w)
	rows = nil
	for _, u := range topology.Users() {
		name := topology.UserName(prefix, u.Role)
		rows = append(rows, []string{name, "configure", u.Configure}, []string{" ", "write", u.Write}, []string{" ", "read", u.Read})
		for _, t := range u.Topics {
			rows = append(rows, []string{" ", t.Exchange + " write", t.Write}, []string{" ", t.Exchange + " read", t.Read})
		}
		if len(u.Tags) > 0 {
			rows = append(rows, []string{" ", "tags", strings.Join(u.Tags, " ")})
		}
	}
	console.Table(w, "user right names", rows)
}

func differences(w *strings.Builder, found []Difference) {
	if len(found) == 0 {
		fmt.Fprintln(w, "the broker is as declared")
		return
	}
	for _, d := range found {
		fmt.Fprintf(w, "%-8s %s %s\n", d.Kind, d.What, d.Name)
		for _, line := range []string{d.Detail, "do: " + d.Remedy} {
			if line = strings.TrimSpace(line); line != "" {
				fmt.Fprintf(w, "         %s\n", line)
			}
		}
	}
}
