package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/cupline/cupline/chassis/settings"
)

type inner struct {
	Level string `env:"LEVEL" default:"info" doc:"how much is logged"`
}

func (i inner) Check() error {
	if i.Level != "info" && i.Level != "debug" {
		return errors.New("LEVEL must be info or debug")
	}
	return nil
}

type sample struct {
	URL     settings.Secret `env:"URL" required:"true" doc:"where it is"`
	Drain   time.Duration   `env:"DRAIN" default:"20s" doc:"how long a stop may take"`
	Window  int32           `env:"WINDOW" default:"64" doc:"most | at once"`
	Ratio   float64         `env:"RATIO" doc:"a ratio"`
	On      bool            `env:"ON" default:"true" doc:"whether it is on"`
	Origins []string        `env:"ORIGINS" doc:"who may"`
	Net     netip.Prefix    `env:"NET" doc:"from where"`
	Log     inner
}

func (s *sample) Check() error {
	if s.Drain < time.Second {
		return errors.New("DRAIN must be 1s or more")
	}
	return nil
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var got sample
	err := settings.Load(&got, []string{"URL=amqp://u:p@h/", "RATIO=0.5", "ON=false", "ORIGINS= a, b,,", "NET=10.0.0.0/8", "OTHER=1", "DRAIN="})
	if err != nil {
		t.Fatal(err)
	}
	want := sample{
		URL: "amqp://u:p@h/", Drain: 20 * time.Second, Window: 64, Ratio: 0.5, Origins: []string{"a", "b"},
		Net: netip.MustParsePrefix("10.0.0.0/8"), Log: inner{"info"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	var got sample
	err := settings.Load(&got, []string{"DRAIN=soon", "WINDOW=5000000000", "RATIO=x", "ON=maybe", "NET=10", "LEVEL_FILE=/nowhere", "LEVEL=x"})
	if err == nil {
		t.Fatal("no problem found")
	}
	for _, want := range []string{
		"  - URL is not set: where it is", `  - DRAIN is "soon": must be a duration`, `  - WINDOW is "5000000000"`, "  - RATIO is", "  - ON is",
		"  - NET is", "  - LEVEL and LEVEL_FILE are both set",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestChecksAreAskedOfInnerStructsToo(t *testing.T) {
	t.Parallel()
	var got sample
	err := settings.Load(&got, []string{"URL=x", "DRAIN=1ms", "LEVEL=loud"})
	if err == nil || !strings.Contains(err.Error(), "DRAIN must be") || !strings.Contains(err.Error(), "LEVEL must be") {
		t.Fatalf("got %v", err)
	}
}

func TestValueFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("amqp://secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got sample
	if err := settings.Load(&got, []string{"URL_FILE=" + path}); err != nil {
		t.Fatal(err)
	}
	if got.URL.Reveal() != "amqp://secret" {
		t.Fatalf("got %q", got.URL.Reveal())
	}
	if err := settings.Load(&got, []string{"URL_FILE=" + path + "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want not exist", err)
	}
}

func TestMistakesInTheStructAreFound(t *testing.T) {
	t.Parallel()
	for name, into := range map[string]any{
		"no pointer": sample{},
		"no doc": &struct {
			A string `env:"A"`
		}{},
		"twice": &struct {
			A string `env:"A" doc:"a"`
			B string `env:"A" doc:"b"`
		}{},
		"no such type": &struct {
			A chan int `env:"A" doc:"a" default:"x"`
		}{},
	} {
		if err := settings.Load(into, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSecretIsPrintedNowhere(t *testing.T) {
	t.Parallel()
	s := struct{ Key settings.Secret }{"hunter2"}
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, s.Key))
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	printed = append(printed, string(encoded))
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	line, err := encoder.EncodeEntry(zapcore.Entry{}, []zap.Field{zap.Any("a", s), zap.Any("b", s.Key), zap.Stringer("c", s.Key)})
	if err != nil {
		t.Fatal(err)
	}
	printed = append(printed, line.String())
	for _, text := range printed {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74") {
			t.Errorf("shown in %s", text)
		}
		if !strings.Contains(text, "[redacted]") {
			t.Errorf("not marked in %s", text)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	table, err := settings.Markdown(sample{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `URL` | required | where it is |\n", "| `DRAIN` | `20s` | how long a stop may take |\n",
		"| `WINDOW` | `64` | most \\| at once |\n", "| `RATIO` |  | a ratio |\n", "| `LEVEL` | `info` | how much is logged |\n",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("%q is missing in\n%s", row, table)
		}
	}
}
