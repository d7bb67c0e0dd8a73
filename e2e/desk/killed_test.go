package desk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/failpoint"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/online"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
)

// lamp is a device that counts what it is told, by command id.
type lamp struct {
	mu  sync.Mutex // guards ran
	ran map[string]int
}

func (l *lamp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct{ ID json.RawMessage }
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var command string
	_ = json.Unmarshal(request.ID, &command) // what is no command id is counted, too
	l.mu.Lock()
	l.ran[command]++
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":true}`, request.ID) // the dispatcher tells of an answer that is cut
}

func (l *lamp) told() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.ran)
}

// inbox keeps what the client is told, by command id.
type inbox struct {
	mu  sync.Mutex // guards got
	got map[string][]cupline.Outcome
}

func (i *inbox) handle(_ context.Context, o cupline.Outcome) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got[o.CommandID] = append(i.got[o.CommandID], o)
	return nil
}

func (i *inbox) of(command string) []cupline.Outcome {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.got[command]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx := bounded(t); !holds(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// shop is a tenant whose lamp has no power at first: nobody listens at its address.
type shop struct {
	client  *cupline.Client
	lamp    *lamp
	address string
	in      *inbox
	owner   *pgx.Conn
}

func newShop(t *testing.T) *shop {
	t.Helper()
	printed, err := site.CLI(t.Context(), "keys", "create", "--database", "--tenant", "shop", "--client", "web", "--output", "json",
		"--scope", "commands:send,replies:read,devices:read,devices:write,ops:read,ops:write")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		t.Fatal(err)
	}
	s := &shop{lamp: &lamp{ran: map[string]int{}}, in: &inbox{got: map[string][]cupline.Outcome{}}}
	s.client, err = cupline.New(cupline.Config{
		URL: "http://" + site.Service(services.API).Public, PushURL: "ws://" + site.Service("pusher-0").Public, Key: made.Token,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.CloseIdle)
	online.Listen(t, s.client, patience, s.in.handle)
	if s.owner, err = pgx.Connect(bounded(t), site.Database.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.owner.Close(context.Background()) })
	if _, err := s.client.PutDeviceType(bounded(t), device.Type{Name: "lamp", Lane: "default", Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	reserved, err := ports.Reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Release() })
	s.address = ports.Address(reserved.Ports[0])
	lamp := device.Device{ID: "lamp", Type: "lamp", Address: json.RawMessage(fmt.Sprintf(`{"url":"http://%s"}`, s.address))}
	if _, err := s.client.PutDevice(bounded(t), lamp); err != nil {
		t.Fatal(err)
	}
	return s
}

// power is there from now on. The lamp's address stays, so that no dispatcher need hear of another one before the first redrive.
func (s *shop) power(t *testing.T) {
	t.Helper()
	web := httptest.NewUnstartedServer(s.lamp)
	_ = web.Listener.Close() // it is to listen elsewhere
	var err error
	if web.Listener, err = net.Listen("tcp", s.address); err != nil {
		t.Fatal(err)
	}
	web.Start()
	t.Cleanup(web.Close)
}

func (s *shop) letters(t *testing.T) (all []cupline.Letter) {
	t.Helper()
	for l, err := range s.client.DeadLetters(bounded(t), cupline.Filter{"device": "lamp"}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// arm lets api die when the job's fifth letter from now on passes a point.
func arm(t *testing.T, p failpoint.Point) {
	t.Helper()
	if err := failpoint.Arm(points(), p, 5, 0); err != nil {
		t.Fatal(err)
	}
}

// died waits until api is dead, of that point, and its leases have run out.
func (s *shop) died(t *testing.T, p failpoint.Point) {
	t.Helper()
	ctx := bounded(t)
	_ = site.Service(services.API).Wait(ctx) // it was killed, if ctx is not done
	if met, err := failpoint.Disarm(points(), p); err != nil || ctx.Err() != nil || !met {
		t.Fatalf("%s was not passed: %v", p, err)
	}
	for _, table := range []string{"desk_jobs", "dead_letters"} {
		if _, err := s.owner.Exec(ctx, "update "+table+" set leased_until = now() - interval '1 second' where leased_until is not null"); err != nil {
			t.Fatal(err)
		}
	}
}

// api dies three times in the midst of a job: before a redrive is published, after that and before it is noted, and before the job notes it.
// Each letter is sent once all the same, and its client is told once.
func TestAJobLivesThroughCrashesOfAPI(t *testing.T) {
	const letters = 40
	s := newShop(t)
	for i := range letters {
		if _, err := s.client.SendRaw(bounded(t), "lamp", fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"order-%d","method":"set"}`, i), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are letters", func() bool { return len(s.letters(t)) == letters })
	s.power(t)

	never := 100
	died := []failpoint.Point{failpoint.BeforeRedrive, failpoint.AfterRedrive, failpoint.AfterItem}
	arm(t, died[0])
	job, err := s.client.StartLetterJob(bounded(t), cupline.LetterJob{
		// So slow that the answer to this is out before api dies at the fifth letter.
		Kind: "redrive", Filter: cupline.Filter{"device": "lamp"}, Rate: 5, StopAbove: &never,
		LetterAction: cupline.LetterAction{Reason: "it has power again", Actor: "ann"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range died {
		s.died(t, p)
		if i+1 < len(died) {
			arm(t, died[i+1]) // before another goes on with the job
		}
		if err := startAPI(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the job is done, and what became of all is known", func() bool {
		if job, err = s.client.LetterJobState(bounded(t), "", job.JobID); err != nil {
			t.Fatal(err)
		}
		return job.State == "done" && job.Awaited == 0
	})
	if job.Total != letters || job.Waiting != 0 || job.Outcomes["answered"] != letters {
		t.Errorf("the job is %+v", job)
	}
	s.judge(t, letters)
}

// judge holds that each letter's command was sent once, ran once, and was told once.
func (s *shop) judge(t *testing.T, letters int) {
	t.Helper()
	all := s.letters(t)
	if len(all) != letters {
		t.Errorf("%d letters", len(all))
	}
	commands := map[string]bool{}
	for i := range all {
		l := &all[i]
		if l.State != "redriven" {
			t.Errorf("letter %s is %s", l.LetterID, l.State)
		}
		commands[l.RedrivenAs] = true
		eventually(t, "the client is told of "+l.RedrivenAs, func() bool { return len(s.in.of(l.RedrivenAs)) > 0 })
		if told := s.in.of(l.RedrivenAs); len(told) != 1 || told[0].Redrive != 1 || string(told[0].ID) != string(l.ID) {
			t.Errorf("the client is told %+v", told)
		}
	}
	ran := s.lamp.told()
	if len(commands) != letters || len(ran) != letters {
		t.Errorf("%d commands of %d letters, of which %d ran", len(commands), letters, len(ran))
	}
	for command, times := range ran {
		if times != 1 || !commands[command] {
			t.Errorf("command %s ran %d times; it is a letter's: %t", command, times, commands[command])
		}
	}
}
