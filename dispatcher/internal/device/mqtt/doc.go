// Package mqtt is the driver for devices on RabbitMQ's MQTT listener. It speaks AMQP:
// the broker's plugin turns routing keys of amq.topic into MQTT topics, and back.
//
// A command is published mandatory, so that the broker says at once when nobody listens
// (NO_ROUTE, device_offline); at QoS 0, because at QoS 1 the broker would send it again to
// a device that reboots before its ack; and with an expiration of what is left of the
// method's timeout, so that nothing runs after its outcome was told.
//
// An answer counts only if tenant, device, dispatcher and command id all match a call in
// flight. Whatever else comes is counted and dropped: a late answer, a second one, one
// that some other device forges, and what cannot be read, since nobody can tell to which
// of the device's calls it belongs.
//
// The queue of answers is exclusive: it goes with its link, and comes again under the same
// name with the next one. What a device answers in between is lost, and such a call ends
// as no_answer (executed: maybe) at its timeout.
package mqtt
