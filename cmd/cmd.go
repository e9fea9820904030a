// Package cmd is the command line: one file a subcommand, flags -> one call -> print.
package cmd

// Main runs cic with the arguments of the process and returns its exit code.
func Main() int { return 0 }
