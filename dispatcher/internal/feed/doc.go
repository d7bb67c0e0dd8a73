// Package feed leads deliveries to the domain, and its verdicts back to the broker. It is
// the only code of the dispatcher that acknowledges: a command after its outcome, or its
// letter to the recorder, is confirmed; a letter after the recorder has committed it and
// its outcome is confirmed; a device's answer as soon as it is handed to its call.
package feed
