package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const introduction = `# Cupline's Helm chart

Needs Kubernetes 1.30 or later and Helm 3 or 4. How to install, upgrade and remove it:
[docs/install.md](../docs/install.md). This page is made from values.yaml by
` + "`go -C install run ./cmd/chartreadme`" + `.

To try it on an empty cluster; what Helm prints then are the next commands, down to a first answer of a device:

` + "```sh\nhelm install cupline ./helm --set quickstart.enabled=true\n```" + `

With a RabbitMQ and a Postgres of your own, here those of [examples/](examples/), which RabbitMQ's Cluster Operator and CloudNativePG run:

` + "```sh\nhelm install cupline ./helm -f helm/examples/values.yaml\n```" + `

## Values

| value | default | what |
| --- | --- | --- |
`

// Readme is the chart's README: a row for each value, with its default and its comment. The error
// names every value that has no comment.
func Readme(values []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return nil, fmt.Errorf("read the chart's values: %w", err)
	}
	page := bytes.NewBufferString(introduction)
	var bare []string
	if err := rows(page, document.Content[0], "", &bare); err != nil {
		return nil, err
	}
	if len(bare) > 0 {
		return nil, fmt.Errorf("values without a comment: %s", strings.Join(bare, ", "))
	}
	return page.Bytes(), nil
}

func rows(page *bytes.Buffer, node *yaml.Node, path string, bare *[]string) error {
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := path + key.Value
		comment := strings.Join(strings.Fields(strings.ReplaceAll(key.HeadComment, "#", "")), " ")
		// A block of values is written over several lines; a map that is a value of its own stands on one.
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 {
			if err := rows(page, value, name+".", bare); err != nil {
				return err
			}
			continue
		}
		if comment == "" {
			*bare = append(*bare, name)
			continue
		}
		var content any
		if err := value.Decode(&content); err != nil {
			return fmt.Errorf("read the value %s: %w", name, err)
		}
		printed, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("print the value %s: %w", name, err)
		}
		fmt.Fprintf(page, "| `%s` | `%s` | %s |\n", name, printed, strings.ReplaceAll(comment, "|", "\\|"))
	}
	return nil
}
