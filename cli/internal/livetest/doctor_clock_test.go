package livetest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestDoctorFindsWrongClocks(t *testing.T) {
	t.Parallel()
	s, b := installed(t)
	if d := s.doctor(t); !d.says("clocks", "ok", "") {
		t.Errorf("with right clocks doctor says %+v", d.Findings)
	}
	// This machine's.
	for by, says := range map[time.Duration]string{time.Hour: "this machine: 1h0m0s ahead of", -time.Hour: "this machine: 1h0m0s behind"} {
		d := s.doctorAt(t, func() time.Time { return time.Now().Add(by) })
		if !d.says("clocks", "warning", says) || d.says("clocks", "warning", "broker") {
			t.Errorf("with a clock off by %s doctor says %+v", by, d.Findings)
		}
	}
	// The broker's, and a service's: what they say of the time is an hour off on its way here.
	target, err := url.Parse(b.ManagementURL())
	if err != nil {
		t.Fatal(err)
	}
	wrong := func(answer *http.Response) error {
		told, err := http.ParseTime(answer.Header.Get("Date"))
		answer.Header.Set("Date", told.Add(-time.Hour).Format(http.TimeFormat))
		return err
	}
	late := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ModifyResponse: wrong})
	t.Cleanup(late.Close)
	s["RABBITMQ_MANAGEMENT_URL"] = strings.Replace(late.URL, "://", "://"+target.User.String()+"@", 1)
	s["CUPLINE_API_URL"] = late.URL
	d := s.doctor(t)
	if !d.says("clocks", "warning", "the broker: ") || !d.says("clocks", "warning", "CUPLINE_API_URL: ") || d.says("clocks", "warning", "ahead") {
		t.Errorf("with a broker and a service that are late doctor says %+v", d.of("clocks", "services"))
	}
}

func TestDoctorAsksServicesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	var missing atomic.Bool
	missing.Store(true)
	server := telemetry.NewServer(telemetry.ServerConfig{Addr: "127.0.0.1:0", Registry: telemetry.NewRegistry()})
	server.Check("broker", func(context.Context) error {
		if missing.Load() {
			return errors.New("the broker is away")
		}
		return nil
	})
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	address := "http://" + server.Addr()
	if d := s.doctor(t, "--service", address); !d.says("services", "problem", "broker: the broker is away") {
		t.Errorf("of a service that is not ready doctor says %+v", d.Findings)
	}
	missing.Store(false)
	if d := s.doctor(t, "--service", address); !d.says("services", "ok", "") {
		t.Errorf("of a service that is ready doctor says %+v", d.Findings)
	}
	if d := s.doctor(t, "--service", "http://127.0.0.1:1"); !d.says("services", "problem", "127.0.0.1:1") {
		t.Errorf("of a service that is away doctor says %+v", d.Findings)
	}
}
