package jsonrpc

import (
	"strings"
	"testing"
)

func BenchmarkParseRequest(b *testing.B) {
	small := []byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`)
	large := []byte(`{"jsonrpc":"2.0","id":"c-42","method":"blob.put","params":{"data":"` + strings.Repeat("a", 60<<10) + `"}}`)
	for name, text := range map[string][]byte{"small": small, "60KiB": large} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRequest(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseBatch100(b *testing.B) {
	text := batch(MaxBatch)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseBatch(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseResponseWithID(b *testing.B) {
	text := []byte(`{"jsonrpc":"2.0","id":"01908c3e-0000-7000-8000-000000000000","result":{"on":true,"executions":7}}`)
	id := []byte(`"c-42"`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseResponse(text)
		if err != nil {
			b.Fatal(err)
		}
		r.WithID(id)
	}
}
