// Package certs is TLS from files that may change: each new handshake uses what is in them now, so that a renewed
// certificate needs no restart. What cannot be read, or does not fit together, is complained of once, and the last
// good certificate goes on.
package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ServerFiles are a server's certificate and key, in PEM; both empty for no TLS.
type ServerFiles struct {
	Cert string `env:"CUPLINE_TLS_CERT_FILE" doc:"the public port's certificate with its chain, PEM; without it the port speaks plain HTTP; read anew when it changes"`
	Key  string `env:"CUPLINE_TLS_KEY_FILE" doc:"its private key, PEM"`
}

// Check wants both or none.
func (f *ServerFiles) Check() error {
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("CUPLINE_TLS_CERT_FILE and CUPLINE_TLS_KEY_FILE go together")
	}
	return nil
}

// lookEvery is how often files are looked at, at most: a handshake is not to cost three of them.
const lookEvery = time.Second

// reloaded is a value made from files, and made anew when they change.
type reloaded[T any] struct {
	files []string
	make  func() (T, error)
	log   *zap.Logger

	mu     sync.Mutex // guards the rest
	value  T
	seen   []os.FileInfo // nil for a file that is not there
	looked time.Time
}

func newReloaded[T any](log *zap.Logger, make func() (T, error), files ...string) (*reloaded[T], error) {
	r := &reloaded[T]{files: files, make: make, log: cmp.Or(log, zap.NewNop())}
	r.seen, r.looked = r.look(), time.Now()
	var err error
	r.value, err = make()
	return r, err
}

// now is the value that the files make now, or did last.
func (r *reloaded[T]) now() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < lookEvery {
		return r.value
	}
	r.looked = time.Now()
	found := r.look()
	if slices.EqualFunc(found, r.seen, unchanged) {
		return r.value
	}
	// Also where it fails: then it is tried again when the files change again, as they do while they are written.
	r.seen = found
	fresh, err := r.make()
	if err != nil {
		r.log.Error("changed TLS files cannot be used; the last good ones go on", zap.Strings("files", r.files), zap.Error(err))
		return r.value
	}
	r.log.Info("TLS files read anew", zap.Strings("files", r.files))
	r.value = fresh
	return fresh
}

func (r *reloaded[T]) look() []os.FileInfo {
	found := make([]os.FileInfo, len(r.files))
	for i, file := range r.files {
		if info, err := os.Stat(file); err == nil {
			found[i] = info
		}
	}
	return found
}

// unchanged compares more than time and size: a file system's clock is coarse, and certificates are of one size.
func unchanged(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Server is a server's TLS, version 1.2 or later; nil where no files are named. loaded is told of each certificate that is
// read and when it ends; it may be nil. Protocols are those of ALPN, for a server that does not set them itself. The error
// says which file is wrong.
func Server(files ServerFiles, log *zap.Logger, loaded func(file string, ends time.Time), protocols ...string) (*tls.Config, error) {
	if err := files.Check(); err != nil {
		return nil, err
	}
	if files.Cert == "" {
		return nil, nil
	}
	pair, err := newReloaded(log, func() (*tls.Certificate, error) {
		pair, err := readPair(files.Cert, files.Key)
		if err == nil && loaded != nil {
			loaded(files.Cert, pair.Leaf.NotAfter)
		}
		return pair, err
	}, files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.now(), nil },
	}, nil
}

// BrokerFiles are whom a service trusts at amqps://.
type BrokerFiles struct {
	CA string `env:"CUPLINE_AMQP_CA_FILE" doc:"authorities to trust at amqps://, PEM; the system's when empty; read anew when it changes"`
}

// Client is TLS to the broker. The error says that the file is wrong.
func (f BrokerFiles) Client(log *zap.Logger) (*Clients, error) {
	return Client(ClientFiles{CA: f.CA}, log)
}

// ClientFiles are whom a client trusts, and who it is.
type ClientFiles struct {
	// CA has the authorities to trust, in PEM; the system's when empty.
	CA string
	// Cert and Key are the client's own, in PEM; both empty for none.
	Cert, Key string
}

// Clients makes the TLS of one connection after the other.
type Clients struct {
	roots *reloaded[*x509.CertPool]   // nil: the system's
	own   *reloaded[*tls.Certificate] // nil: none
}

// Client reads the files. The error says which one is wrong.
func Client(files ClientFiles, log *zap.Logger) (*Clients, error) {
	c := &Clients{}
	var err error
	if files.CA != "" {
		if c.roots, err = newReloaded(log, func() (*x509.CertPool, error) { return readPool(files.CA) }, files.CA); err != nil {
			return nil, err
		}
	}
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("a client certificate and its key go together")
	}
	if files.Cert != "" {
		read := func() (*tls.Certificate, error) { return readPair(files.Cert, files.Key) }
		if c.own, err = newReloaded(log, read, files.Cert, files.Key); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Config is for the next connection, version 1.2 or later; whoever dials adds the server's name. A nil c trusts the
// system's authorities.
func (c *Clients) Config() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c == nil {
		return cfg
	}
	if c.roots != nil {
		cfg.RootCAs = c.roots.now()
	}
	if c.own != nil {
		cfg.Certificates = []tls.Certificate{*c.own.now()}
	}
	return cfg
}

func readPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s with the key %s: %w", cert, key, err)
	}
	return &pair, nil
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities: no certificate in %s", file)
	}
	return pool, nil
}
