// Package cupline is the Go client of the Cupline command platform: it sends JSON-RPC 2.0
// commands to devices over HTTP, and receives their outcomes over a WebSocket.
//
// A command is accepted, refused, or in doubt, and the client says which. Accepted means
// that the platform has it safe and that exactly one outcome follows. Refused
// ([ErrRefused]) means that nothing was accepted: sending again is safe. In doubt
// ([ErrInDoubt]) means that nobody knows; sending the same bytes with the same id again is
// safe, because the platform executes one id once. The client itself never sends
// anything twice.
//
//	client, err := cupline.New(cupline.Config{URL: "http://127.0.0.1:8080", Key: key})
//	listener, err := client.Listen(cupline.ListenConfig{Handle: store})
//	defer listener.Close()
//	outcome, err := listener.Call(ctx, "lamp-1", "relay.set", map[string]bool{"on": true}, cupline.SendOptions{})
//	result, err := outcome.Result()
//
// Outcomes are delivered at least once. The [Listener] drops what it has handed over
// already, by command id, as far back as its memory reaches, and acks an outcome only
// after the handler has returned without an error: whatever was not acked comes again.
package cupline
