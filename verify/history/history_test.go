package history_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/verify/history"
)

func TestAHistoryComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			log.Add(history.Event{Kind: history.Post, ID: `"\u00e9"`, Answer: history.InDoubt, Took: time.Second})
		})
	}
	writers.Wait()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := history.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	want := log.Events()
	for i := range want {
		want[i].At = want[i].At.Round(0).UTC() // no monotonic reading
		got[i].At = got[i].At.UTC()
	}
	if len(got) != 8 || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, wrote %+v", got, want)
	}
	if _, err := history.Read(strings.NewReader("{\"kind\":\"post\"}\n{torn")); err == nil {
		t.Error("a torn history was read without a word")
	}
}
