package contracttest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
)

const asyncURL = "urn:cupline:asyncapi"

// async is asyncapi.yaml: as a resource for schemas, and as plain values.
type async struct {
	compiler *jsonschema.Compiler
	doc      map[string]any
}

func loadAsync(t *testing.T) async {
	t.Helper()
	text, err := os.ReadFile(SchemaPath("asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatalf("asyncapi.yaml: %v", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	a := async{compiler: jsonschema.NewCompiler(), doc: doc.(map[string]any)}
	a.compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := a.compiler.AddResource(asyncURL, doc); err != nil {
		t.Fatal(err)
	}
	return a
}

// holds checks a value against a schema of the document.
func (a async) holds(t *testing.T, pointer string, value any, where string) {
	t.Helper()
	schema, err := a.compiler.Compile(asyncURL + "#" + pointer)
	if err != nil {
		t.Fatalf("%s: %v", pointer, err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s against %s: %v", where, pointer, err)
	}
}

func golden(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(SchemaPath("testdata/golden/" + name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func value(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return v
}

// Every frame that the Go code writes is as the document says, and every type has a golden line.
func TestFramesAreAsDescribed(t *testing.T) {
	t.Parallel()
	a := loadAsync(t)
	seen := map[string]bool{}
	for _, file := range []string{"push-server.jsonl", "push-client.jsonl"} {
		for line := range bytes.Lines(golden(t, file)) {
			frame := value(t, line)
			kind := frame.(map[string]any)["type"].(string)
			seen[kind] = true
			a.holds(t, "/components/messages/"+kind+"/payload", frame, string(line))
		}
	}
	described := a.doc["channels"].(map[string]any)["connect"].(map[string]any)["messages"].(map[string]any)
	for kind := range described {
		if !seen[kind] && kind != push.TypeEvent { // nothing sends events yet
			t.Errorf("no golden line of type %s", kind)
		}
	}
	types := []string{
		push.TypeHello, push.TypeAck, push.TypeAuth, push.TypeSubscribe, push.TypeUnsubscribe, push.TypePong, push.TypeBye,
		push.TypeWelcome, push.TypeOutcome, push.TypeEvent, push.TypeLag, push.TypePing, push.TypeDrain, push.TypeError,
	}
	slices.Sort(types)
	if got := slices.Sorted(maps.Keys(described)); !slices.Equal(got, types) {
		t.Errorf("described %v, the code has %v", got, types)
	}
}

func TestCloseCodesAreDescribed(t *testing.T) {
	t.Parallel()
	text := loadAsync(t).doc["channels"].(map[string]any)["connect"].(map[string]any)["description"].(string)
	text = strings.Join(strings.Fields(text), " ")
	for code := push.CloseCode(4000); code < 4300; code++ {
		if reason := code.Reason(); reason != "" && !strings.Contains(text, strconv.Itoa(int(code))+" "+reason) {
			t.Errorf("%d %s is not described", code, reason)
		}
	}
}

func TestMessagesAreAsDescribed(t *testing.T) {
	t.Parallel()
	a := loadAsync(t)
	for file, message := range map[string]string{
		"command.json": "command", "command-full.json": "command", "letter-dispatcher.json": "letter", "letter-expired.json": "letter",
		"outcome-device.json": "stored", "outcome-platform.json": "stored", "announce.json": "announce", "release.json": "release",
	} {
		m := value(t, golden(t, file)).(map[string]any)
		pointer := "/components/messages/" + message
		a.holds(t, pointer+"/headers", m["headers"], file)
		body, _ := m["body"].(string)
		if body == "" || message == "letter" {
			continue
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: the body is no JSON", file)
		}
		a.holds(t, pointer+"/payload", value(t, []byte(body)), file)
	}
}

func TestExchangesAreAsDescribed(t *testing.T) {
	t.Parallel()
	described := map[string]topology.Exchange{}
	for _, channel := range loadAsync(t).doc["channels"].(map[string]any) {
		amqp, has := channel.(map[string]any)["bindings"].(map[string]any)["amqp"].(map[string]any)
		if !has {
			continue
		}
		e := amqp["exchange"].(map[string]any)
		described[e["name"].(string)] = topology.Exchange{Kind: topology.Kind(e["type"].(string)), Durable: e["durable"].(bool)}
	}
	declared := topology.Merge(topology.Whole(topology.DefaultLane()), topology.Answers("d")).Exchanges
	for _, e := range declared {
		if got, has := described[e.Name]; !has || got.Kind != e.Kind || got.Durable != e.Durable {
			t.Errorf("%s is described as %+v, declared as %+v", e.Name, got, e)
		}
	}
	if len(described) != len(declared) {
		t.Errorf("%d described, %d declared", len(described), len(declared))
	}
}

func TestReasonsAreDescribed(t *testing.T) {
	t.Parallel()
	schemas := loadAsync(t).doc["components"].(map[string]any)["schemas"].(map[string]any)
	described := schemas["reason"].(map[string]any)["enum"].([]any)
	var got []string
	for _, reason := range described {
		got = append(got, reason.(string))
	}
	var want []string
	for _, reason := range outcome.Reasons() {
		want = append(want, string(reason))
	}
	if !slices.Equal(got, want) {
		t.Errorf("described %v, want %v", got, want)
	}
}
