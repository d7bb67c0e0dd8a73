// Package install checks how Cupline is installed: its image, the compose file, the Helm chart,
// the alert rules and dashboards. It stands outside the workspace, because the Kubernetes modules
// that it decodes with would raise the versions of what the services are built from.
package install
