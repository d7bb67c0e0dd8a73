// Package rabbitmq runs a private RabbitMQ node on the loopback address: its own data, ports, credentials, cookie and
// epmd, in one folder, beside whatever brokers the machine runs already and without touching them.
//
// What a folder's node is called, which ports it has and who its administrator is are chosen once and remembered in
// the folder, so that it can be stopped and started again with its data. A node that a killed run left behind is
// stopped by the next [Start] in its folder (so that what runs is always what that caller configured), or used as it
// is through [Open].
package rabbitmq
