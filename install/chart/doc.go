// Package chart checks the Helm chart in helm/ with real Helm: what it renders decodes strictly
// into Kubernetes' own types, and holds what the chart promises.
package chart
