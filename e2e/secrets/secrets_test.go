// Package secrets_test runs the platform, well and badly, and looks through all that it wrote and said: for every secret that
// it used, and for lines that do not name the tenant whom they concern.
package secrets_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/platform"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

const patience = 60 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// One run serves two tests, for it takes long: no secret is written or said, and each line says whose it is.
func TestNoSecretIsWrittenOrSaidAndEveryLineNamesItsTenant(t *testing.T) {
	folder, err := os.MkdirTemp("", "cupline-secrets-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), platform.StartLimit)
	defer cancel()
	site, err := platform.Start(ctx, folder)
	t.Cleanup(func() {
		ending, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if err := errors.Join(site.Stop(ending), os.RemoveAll(folder)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"the broker's administrator": site.Broker.Password()}
	ofURL := func(whose, address string) {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		secrets[whose], _ = u.User.Password()
	}
	ofURL("the database's owner", site.Database.URL())
	debug := map[string]string{
		"CUPLINE_LOG_LEVEL": "debug", "CUPLINE_ACCESS_LOG": "true", "CUPLINE_SLOT": "pusher-0", "RABBITMQ_MANAGEMENT_URL": site.Broker.ManagementURL(),
	}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
		ofURL(program+"'s database", site.DatabaseURL(program))
		if _, err := site.Run(bounded(t), program, program, debug); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range site.BrokerPasswords() {
		secrets[name] = value
	}
	var said bytes.Buffer
	use(t, site, secrets, &said)
	misuse(t, site, secrets, &said)
	fail(t, site, secrets)
	// A link that is lost and found again has its own lines.
	if err := site.Broker.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := site.Broker.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
		if err := site.Service(program).WaitReady(bounded(t)); err != nil {
			t.Error(err)
		}
		for _, path := range []string{"/readyz", "/metrics", "/healthz"} {
			say(t, &said, "http://"+site.Service(program).Internal+path, "")
		}
		labels(t, "http://"+site.Service(program).Internal+"/metrics")
		if err := site.End(bounded(t), program); err != nil {
			t.Error(err)
		}
	}
	for _, premise := range []string{"the settings have problems", "unauthorized", "cupline_broker_"} {
		if !bytes.Contains(said.Bytes(), []byte(premise)) {
			t.Errorf("the test's own premise: nobody said %q", premise)
		}
	}
	look(t, "what was said", said.Bytes(), secrets)
	logs, err := filepath.Glob(filepath.Join(folder, "log", "*.log"))
	if err != nil || len(logs) < 4 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	attributed(t, logs)
	logs = append(logs, site.Broker.LogFile(), site.Database.LogFile())
	for _, log := range logs {
		content, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		look(t, filepath.Base(log), content, secrets)
	}
}

// look fails for each secret that stands in a text, as it is or as URLs and basic authentication have it.
func look(t *testing.T, where string, text []byte, secrets map[string]string) {
	t.Helper()
	for whose, secret := range secrets {
		if len(secret) < 20 {
			t.Fatalf("the secret of %s is %d bytes: the test would find it by chance", whose, len(secret))
		}
		for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				line := text[bytes.LastIndexByte(text[:at], '\n')+1 : at]
				t.Errorf("%s has the secret of %s, behind %q", where, whose, line)
				break
			}
		}
	}
}

// use makes keys, devices and credentials, sends commands, and has an agent answer. The places where a secret is shown
// once, on purpose, are not kept.
func use(t *testing.T, site *platform.Platform, secrets map[string]string, said *bytes.Buffer) {
	t.Helper()
	printed, err := site.CLI(bounded(t), "keys", "create", "--database", "--tenant", tenant, "--client", customer,
		"--scope", "commands:send,replies:read,devices:read,devices:write,ops:read,tenants:admin", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var key struct{ Token string }
	if err := json.Unmarshal(printed, &key); err != nil {
		t.Fatal(err)
	}
	secrets["the key"] = key.Token
	client, err := cupline.New(cupline.Config{URL: "http://" + site.Service("api").Public, PushURL: "ws://" + site.Service("pusher").Public, Key: key.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	kind := device.Type{Name: "linux", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{"host.load": {Idempotent: true}}}
	if _, err := client.PutDeviceType(bounded(t), kind); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutDevice(bounded(t), device.Device{ID: lamp, Type: "linux"}); err != nil {
		t.Fatal(err)
	}
	login, err := client.CreateDeviceCredential(bounded(t), lamp, cupline.NewDeviceCredential{})
	if err != nil {
		t.Fatal(err)
	}
	secrets["the device"] = login.Password
	if _, err := site.Run(bounded(t), "agent", services.Agent, map[string]string{
		"CUPLINE_MQTT_URL": "tcp://" + site.Broker.MQTTAddress(), "CUPLINE_MQTT_PASSWORD": login.Password, "CUPLINE_LOG_LEVEL": "debug",
		"CUPLINE_TENANT": tenant, "CUPLINE_DEVICE": lamp, "CUPLINE_AGENT_STATE": filepath.Join(site.Folder(), "agent"),
	}); err != nil {
		t.Fatal(err)
	}
	outcomes := make(chan cupline.Outcome, 1)
	listener, err := client.Listen(cupline.ListenConfig{Handle: func(_ context.Context, o cupline.Outcome) error {
		outcomes <- o
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if _, err := client.Send(bounded(t), lamp, "host.load", nil, cupline.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-outcomes:
	case <-bounded(t).Done():
		t.Fatal("no outcome")
	}
	for _, path := range []string{"/v1/keys", "/v1/devices", "/v1/devices/" + lamp + "/credentials", "/v1/audit", "/v1/devices?limit=x"} {
		say(t, said, "http://"+site.Service("api").Public+path, key.Token)
	}
}

// misuse gives secrets where they do not belong, and wrong settings to every program.
func misuse(t *testing.T, site *platform.Platform, secrets map[string]string, said *bytes.Buffer) {
	t.Helper()
	key := secrets["the key"]
	for _, wrong := range []string{key + "x", key[:len(key)-1] + "~", "Basic " + key} {
		say(t, said, "http://"+site.Service("api").Public+"/v1/devices", wrong)
	}
	say(t, said, "http://"+site.Service("pusher").Public+"/v1/connect", key)
	database, broker := site.DatabaseURL(services.API), site.Broker.URL()
	environments := [][]string{
		{"DATABASE_URL=" + database, "AMQP_URL=" + strings.Replace(broker, "amqp://", "amqp://%zz", 1)},
		{"DATABASE_URL=" + strings.Replace(database, "postgres://", "postgres//", 1), "AMQP_URL=" + broker},
		{"DATABASE_URL=" + strings.Replace(database, "127.0.0.1:", "127.0.0.1:x", 1), "AMQP_URL=" + strings.Replace(broker, "amqp", "ampq", 1)},
		{"DATABASE_URL=" + database, "AMQP_URL=" + broker, "CUPLINE_DRAIN=never"},
	}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher, services.CLI} {
		arguments := [][]string{{"--settings"}, nil}
		if program == services.CLI {
			arguments = [][]string{{"topology", "check"}, {"migrate", "status"}, {"topology", "apply"}}
		}
		for _, environment := range environments {
			for _, args := range arguments {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				command := exec.CommandContext(ctx, filepath.Join(site.Programs(), program), args...)
				command.Env = append(environment, "RABBITMQ_MANAGEMENT_URL="+strings.Replace(site.Broker.ManagementURL(), "127.0.0.1", "127.0.0.1x", 1),
					"CUPLINE_LISTEN=127.0.0.1:0", "CUPLINE_INTERNAL_ADDR=127.0.0.1:0", "CUPLINE_SLOT=other", "CUPLINE_LOG_LEVEL=debug", "PATH="+os.Getenv("PATH"))
				out, _ := command.CombinedOutput() // it fails, or is ended
				cancel()
				said.Write(out)
			}
		}
	}
}

// say keeps an answer, its header included.
func say(t *testing.T, said *bytes.Buffer, address, token string) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_ = answer.Header.Write(said)
	if _, err := io.Copy(said, answer.Body); err != nil {
		t.Fatal(err)
	}
}
