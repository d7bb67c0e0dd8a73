// Package telemetry is what operators see of a service: logs, metrics, readiness, and the
// trace context that travels in message headers.
package telemetry

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LogConfig says how to log; it is read by package settings as it stands.
type LogConfig struct {
	Level  string `env:"CUPLINE_LOG_LEVEL" default:"info" doc:"least severe level that is logged: debug, info, warn or error; changeable while running at /loglevel of the internal port"`
	Format string `env:"CUPLINE_LOG_FORMAT" default:"json" doc:"json, or console for people"`
}

// Check reports what is wrong.
func (c LogConfig) Check() error {
	if _, err := zapcore.ParseLevel(c.Level); err != nil {
		return fmt.Errorf("log level %q: must be debug, info, warn or error", c.Level)
	}
	if c.Format != "" && c.Format != "json" && c.Format != "console" {
		return fmt.Errorf("log format %q: must be json or console", c.Format)
	}
	return nil
}

// NewLog makes a logger that writes to w, which need not be safe for concurrent use, and
// the level, which may be changed at any time. Times are RFC 3339 in UTC.
func NewLog(w io.Writer, cfg LogConfig) (*zap.Logger, zap.AtomicLevel, error) {
	if err := cfg.Check(); err != nil {
		return nil, zap.AtomicLevel{}, err
	}
	parsed, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, zap.AtomicLevel{}, err
	}
	level := zap.NewAtomicLevelAt(parsed)
	format := zap.NewProductionEncoderConfig()
	format.TimeKey = "time"
	format.EncodeTime = func(at time.Time, to zapcore.PrimitiveArrayEncoder) {
		to.AppendString(at.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	format.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(format)
	if cfg.Format == "console" {
		format.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(format)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)
	return zap.New(core, zap.AddStacktrace(zapcore.DPanicLevel)), level, nil
}
