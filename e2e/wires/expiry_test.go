package wires_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/services"
)

// expiry: services show until when the certificate that they have loaded is good, which an alert watches.
func (s *site) expiry(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(s.file("public.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		t.Fatal("no certificate in public.pem")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{services.API, services.Pusher} {
		answer, err := http.Get("http://" + s.Service(program).Internal + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var shown float64
		for line := range strings.Lines(string(text)) {
			if value, found := strings.CutPrefix(line, `cupline_certificate_expiry_timestamp_seconds{file="public.pem"} `); found {
				_, _ = fmt.Sscan(value, &shown)
			}
		}
		if int64(shown) != certificate.NotAfter.Unix() {
			t.Errorf("%s shows %d, and the certificate ends at %d", program, int64(shown), certificate.NotAfter.Unix())
		}
	}
}
