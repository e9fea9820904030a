//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: running jobs, and so measuring them, needs Linux")
	os.Exit(1)
}
