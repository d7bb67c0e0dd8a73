// Package dispatch is the dispatcher's domain: what becomes of one delivered command.
//
// An Engine takes a Command and comes to a Verdict, in this order: find the driver and
// the device, wait for a slot, claim the command in the ledger, execute it through the
// driver, decide the device's answer in the ledger. It neither publishes nor
// acknowledges: who delivered the command does, as the Verdict says.
//
// Only a device's answer is decided here. Whatever else ends a command goes, undecided,
// to the recorder, which alone computes from the ledger whether it may have run.
package dispatch
