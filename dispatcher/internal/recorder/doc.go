// Package recorder settles commands that ended without their device's answer. Whatever
// reaches the dead-letter queue becomes, in one transaction, a dead letter with its whole
// payload and death history, an entry of the audit trail, and a decision in the ledger;
// then its client is told.
//
// Whether the command may have been executed is computed from the ledger alone. What the
// broker says of a dead letter proves nothing: a command that was delivered, ran and came
// back with its worker's link looks as if it had never been delivered.
package recorder
