// Command chartreadme writes helm/README.md from helm/values.yaml. Run it in the folder install.
package main

import (
	"fmt"
	"os"

	"github.com/cupline/cupline/install/chart"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	values, err := os.ReadFile("../helm/values.yaml")
	if err != nil {
		return err
	}
	page, err := chart.Readme(values)
	if err != nil {
		return err
	}
	return os.WriteFile("../helm/README.md", page, 0o644)
}
