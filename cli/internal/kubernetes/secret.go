// Package kubernetes keeps a Secret in the cluster that the process runs in, with no more than its
// pod's own service account: one look and one creation or change, for which no client library is needed.
package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Mounted is where Kubernetes puts a pod's service account: token, ca.crt and namespace.
const Mounted = "/var/run/secrets/kubernetes.io/serviceaccount"

// callLimit bounds a call of the API server.
const callLimit = 10 * time.Second

// ErrExists says that there is a Secret of that name already.
var ErrExists = errors.New("the Secret exists already")

// Secrets of the process's own namespace.
type Secrets struct {
	address   string
	namespace string
	token     string
	http      http.Client
}

// InCluster reads where the API server is from the environment, and the service account from the
// folder (see [Mounted]). The error says what is missing, as outside a cluster.
func InCluster(getenv func(string) string, folder string) (*Secrets, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod")
	}
	var content [3]string
	for i, name := range []string{"token", "ca.crt", "namespace"} {
		file, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, fmt.Errorf("read the pod's service account: %w", err)
		}
		content[i] = strings.TrimSpace(string(file))
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(content[1])) {
		return nil, fmt.Errorf("read the pod's service account: no certificate in %s", filepath.Join(folder, "ca.crt"))
	}
	return &Secrets{
		address: "https://" + net.JoinHostPort(host, port), token: content[0], namespace: content[2],
		http: http.Client{Timeout: callLimit, Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, // two calls, and then the process ends
		}},
	}, nil
}

// Exists reports whether there is a Secret of that name.
func (s *Secrets) Exists(ctx context.Context, name string) (bool, error) {
	status, said, err := s.call(ctx, http.MethodGet, "/"+url.PathEscape(name), nil)
	switch {
	case err != nil:
		return false, fmt.Errorf("look for the Secret %s: %w", name, err)
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("look for the Secret %s: the API server answers %d: %s", name, status, said)
}

// secret is a Secret as the API server takes it.
type secret struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string]string `json:"stringData"`
}

// Create makes a Secret. The error is [ErrExists] when somebody else was quicker; after any other it
// may have been made all the same, unless the API server's answer is quoted.
func (s *Secrets) Create(ctx context.Context, name string, data map[string]string) error {
	body, err := json.Marshal(secret{"v1", "Secret", map[string]string{"name": name}, "Opaque", data})
	if err != nil {
		return err
	}
	status, said, err := s.call(ctx, http.MethodPost, "", body)
	switch {
	case err != nil:
		return fmt.Errorf("make the Secret %s: %w", name, err)
	case status == http.StatusCreated:
		return nil
	case status == http.StatusConflict:
		return fmt.Errorf("make the Secret %s: %w", name, ErrExists)
	}
	return fmt.Errorf("make the Secret %s: the API server answers %d: %s", name, status, said)
}

// Replace gives a Secret that is there other data, key by key.
func (s *Secrets) Replace(ctx context.Context, name string, data map[string]string) error {
	body, err := json.Marshal(map[string]any{"stringData": data})
	if err != nil {
		return err
	}
	status, said, err := s.call(ctx, http.MethodPatch, "/"+url.PathEscape(name), body)
	switch {
	case err != nil:
		return fmt.Errorf("change the Secret %s: %w", name, err)
	case status == http.StatusOK:
		return nil
	}
	return fmt.Errorf("change the Secret %s: the API server answers %d: %s", name, status, said)
}

func (s *Secrets) call(ctx context.Context, method, path string, body []byte) (status int, said string, err error) {
	address := s.address + "/api/v1/namespaces/" + url.PathEscape(s.namespace) + "/secrets" + path
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode < 300 {
		return answer.StatusCode, "", nil // a Secret's content is nobody's business
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	return answer.StatusCode, string(text), err
}
