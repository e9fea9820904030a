//go:build !linux

package cmd

// interactive is false where no jobs run, so that there is nothing to ask.
func interactive(any) bool { return false }
