package socket

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Operations of RFC 6455, 5.2.
const (
	opContinuation = 0
	opText         = 1
	opPing         = 9
)

// wire is a client's frame. The mask is zero, which leaves the payload as it is.
func wire(final bool, op byte, payload []byte) []byte {
	if final {
		op |= 0x80
	}
	b := []byte{op}
	switch n := len(payload); {
	case n > 0xffff:
		b = append(b, 0x80|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	case n > 125:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|byte(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// However frames are cut into pieces and packets, with pings in between: each is read, and
// none is left in a buffer while the connection waits for more.
func TestNothingStaysInTheBuffer(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.QueueBytes = 1 << 20 })
	ws, _ := s.connect(t)
	random := rand.New(rand.NewPCG(1, 2))
	const frames = 2000
	var stream []byte
	for range frames {
		payload := append([]byte(`{"type":"x"}`), bytes.Repeat([]byte(" "), random.IntN(3)*random.IntN(300))...)
		switch cut := random.IntN(len(payload)); random.IntN(4) {
		case 0:
			stream = append(stream, wire(false, opText, payload[:cut])...)
			stream = append(stream, wire(true, opPing, []byte("between"))...)
			stream = append(stream, wire(true, opContinuation, payload[cut:])...)
		case 1:
			stream = append(stream, wire(true, opPing, nil)...)
			fallthrough
		default:
			stream = append(stream, wire(true, opText, payload)...)
		}
	}
	sent, heard := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		for len(stream) > 0 {
			n := min(1+random.IntN(600), len(stream))
			if _, err := ws.NetConn().Write(stream[:n]); err != nil {
				sent <- err
				return
			}
			stream = stream[n:]
			if random.IntN(20) == 0 {
				select { // let it fall idle
				case <-heard:
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
		sent <- nil
	}()
	for answers := 0; answers < frames; {
		_ = ws.SetReadDeadline(time.Now().Add(30 * time.Second))
		_, message, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		answers += bytes.Count(message, []byte(`"unknown_type"`))
		select {
		case heard <- struct{}{}:
		default:
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// An idle connection sees the other side's end, and the end that a deadline puts to it.
func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.CloseLimit = 50 * time.Millisecond })
	vanishes, vanished := s.connect(t)
	_ = vanishes.NetConn().Close()
	if gone := <-s.left; gone != vanished {
		t.Fatal("another session left")
	}
	silent, session := s.connect(t)
	session.End(4200)
	<-s.left
	// It never answers the close; the server gives up, and the line ends.
	_ = silent.NetConn().SetReadDeadline(time.Now().Add(30 * time.Second))
	for b := make([]byte, 1024); ; {
		if _, err := silent.NetConn().Read(b); err != nil {
			break
		}
	}
	noneIsLeft(t, s)
}

func noneIsLeft(t *testing.T, s testServer) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(30 * time.Second); len(s.all()) > 0; <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", len(s.all()))
		}
	}
}

// BenchmarkFrame is one ack on a connection that falls idle in between.
func BenchmarkFrame(b *testing.B) {
	s := serve(b, nil)
	ws, _ := s.connect(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"x"}`)); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}
