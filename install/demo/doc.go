// Package demo runs what compose.yaml and the chart's quickstart say, as processes of this machine: the image's programs
// with the variables that they would have there, on a real broker and a real database, up to a command that the agent
// answers. What an engine or a cluster does beside (networks, probes, users, volumes) is not tried by it.
package demo
