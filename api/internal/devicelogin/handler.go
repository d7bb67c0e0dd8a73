package devicelogin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/store/credential"
)

// Credentials tells which of a device's credentials a password is; its errors are those of store/credential.
type Credentials interface {
	Verify(ctx context.Context, tenant, device, password string) (id string, err error)
}

// Devices tells whether a device is registered: nil, or an error.
type Devices interface {
	Registered(ctx context.Context, tenant, device string) (bool, error)
}

// Config of a Handler. Credentials, Devices and Metrics are required.
type Config struct {
	Credentials Credentials
	Devices     Devices
	// Vhost is the one virtual host that devices may use.
	Vhost string
	// Certificates lets devices in without a password whose client certificate the broker has verified. It is true only
	// where the broker's MQTT listener asks for one (mqtt.ssl_cert_login).
	Certificates bool
	// Refused is told of log-ins that were refused, at most a few a minute of one name; may be nil.
	Refused func(ctx context.Context, tenant, device, why string)
	Limit   *Limit
	Metrics *Metrics
	Log     *zap.Logger
}

// Handler serves what the broker asks: POST user, vhost, resource and topic below its own path. It answers "allow" or
// "deny", and 503 where it cannot know, which the broker takes for a no and does not remember.
type Handler struct {
	cfg Config
	mux *http.ServeMux
}

const (
	// lookLimit bounds one question to the database.
	lookLimit = 3 * time.Second
	// maxForm bounds a question, in bytes.
	maxForm = 16 << 10
)

// New makes a handler for questions below path, such as "/broker".
func New(path string, cfg Config) *Handler {
	if cfg.Refused == nil {
		cfg.Refused = func(context.Context, string, string, string) {}
	}
	h := &Handler{cfg: cfg, mux: http.NewServeMux()}
	for question, answer := range map[string]func(context.Context, form) (bool, error){
		"user": h.user, "vhost": h.vhost, "resource": h.resource, "topic": h.topic,
	} {
		h.mux.HandleFunc("POST "+path+"/"+question, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, question, answer) })
	}
	return h
}

// ServeHTTP answers one question.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// form is a question's fields.
type form map[string][]string

// get is a field; empty for one that is missing, and for one that is there twice.
func (f form) get(name string) string {
	if len(f[name]) != 1 {
		return ""
	}
	return f[name][0]
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, question string, answer func(context.Context, form) (bool, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "deny", http.StatusBadRequest)
		return
	}
	// PostForm: what stands in a URL is written to logs, so nothing is read from there.
	allowed, err := answer(r.Context(), form(r.PostForm))
	switch {
	case err != nil:
		h.cfg.Metrics.count(question, "unknown")
		h.cfg.Log.Warn("a device's rights are not known now", zap.String("question", question), zap.Error(err))
		http.Error(w, "unknown", http.StatusServiceUnavailable)
	case allowed:
		h.cfg.Metrics.count(question, "allow")
		_, _ = io.WriteString(w, "allow")
	default:
		h.cfg.Metrics.count(question, "deny")
		_, _ = io.WriteString(w, "deny")
	}
}

// user decides a log-in. Over AMQP there is no client id, and no device. With a certificate the broker tells the name alone
// (3.10); the client id comes with the next question, vhost, which is part of the log-in and is refused without one.
func (h *Handler) user(ctx context.Context, f form) (bool, error) {
	login := f.get("username")
	tenant, id, ok := parse(login)
	password, given := f.get("password"), len(f["password"]) > 0
	if !ok || (given || len(f["client_id"]) > 0) && !ownClientID(login, f.get("client_id")) ||
		(given || len(f["vhost"]) > 0) && f.get("vhost") != h.cfg.Vhost {
		return false, nil
	}
	claimed, shaped := credential.ID(password)
	// Not by the name alone: then whoever guesses at it would keep the device itself out.
	attempt := login + " " + claimed
	if !h.cfg.Limit.Allow(attempt) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var why string
	switch {
	case given && !shaped:
		why = "a password that is none of ours"
	case given:
		_, err := h.cfg.Credentials.Verify(ctx, tenant, id, password)
		if err == nil || !errors.Is(err, credential.ErrWrong) {
			return err == nil, err
		}
		why = "wrong password, or a credential that is revoked or expired: " + claimed
	case !h.cfg.Certificates:
		why = "no password, and certificates are not accepted"
	default:
		there, err := h.cfg.Devices.Registered(ctx, tenant, id)
		if there || err != nil {
			return there, err
		}
		why = "a certificate for a device that is not registered"
	}
	h.cfg.Limit.Failed(attempt)
	if h.cfg.Limit.Allow(login) {
		h.cfg.Limit.Failed(login)
		h.cfg.Refused(ctx, tenant, id, why)
	}
	return false, nil
}

func (h *Handler) vhost(_ context.Context, f form) (bool, error) {
	_, _, ok := parse(f.get("username"))
	return ok && ownClientID(f.get("username"), f.get("client_id")) && f.get("vhost") == h.cfg.Vhost, nil
}

func (h *Handler) resource(_ context.Context, f form) (bool, error) {
	login := f.get("username")
	_, _, ok := parse(login)
	return ok && f.get("vhost") == h.cfg.Vhost &&
		resourceAllowed(login, f.get("client_id"), f.get("resource"), f.get("name"), f.get("permission")), nil
}

func (h *Handler) topic(_ context.Context, f form) (bool, error) {
	return f.get("vhost") == h.cfg.Vhost && f.get("resource") == "topic" &&
		topicAllowed(f.get("username"), f.get("variable_map.client_id"), f.get("name"), f.get("permission"), f.get("routing_key")), nil
}

// Metrics of the questions.
type Metrics struct{ questions *prometheus.CounterVec }

// NewMetrics registers them.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{questions: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cupline_device_questions_total",
		Help: "What the broker asked about devices (user: a log-in; vhost, resource, topic: a right), by answer: allow, deny, or unknown where the database was away.",
	}, []string{"question", "answer"})}
	return m, registerer.Register(m.questions)
}

func (m *Metrics) count(question, answer string) { m.questions.WithLabelValues(question, answer).Inc() }
