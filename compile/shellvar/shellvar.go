// Package shellvar knows the variables that are more to a shell, or to the programs
// that it starts, than a value in the environment. It depends on the standard library
// alone.
package shellvar

import (
	"maps"
	"slices"
)

// unsettable are variables that a script cannot set in the same way in every
// shell: assigning to one fails, is ignored, or changes the value in dash,
// busybox ash or bash. A program leaves them alone. Each entry completes the
// sentence "NAME ...". Found by trying; names that are special in mksh alone
// (USER_ID, PGRP, KSH...) are left to the user.
var unsettable = map[string]string{
	"BASHOPTS":      readOnly,
	"BASH_VERSINFO": readOnly,
	"EUID":          readOnly,
	"PPID":          readOnly,
	"SHELLOPTS":     readOnly,
	"UID":           readOnly,

	"_":             dynamic,
	"BASHPID":       dynamic,
	"BASH_ALIASES":  dynamic,
	"BASH_ARGC":     dynamic,
	"BASH_ARGV":     dynamic,
	"BASH_CMDS":     dynamic,
	"BASH_COMMAND":  dynamic,
	"BASH_LINENO":   dynamic,
	"BASH_SOURCE":   dynamic,
	"BASH_SUBSHELL": dynamic,
	"DIRSTACK":      dynamic,
	"EPOCHREALTIME": dynamic,
	"EPOCHSECONDS":  dynamic,
	"FUNCNAME":      dynamic,
	"GROUPS":        dynamic,
	"HISTCMD":       dynamic,
	"LINENO":        dynamic,
	"OPTIND":        dynamic,
	"PIPESTATUS":    dynamic,
	"RANDOM":        dynamic,
	"SECONDS":       dynamic,
	"SRANDOM":       dynamic,

	"OLDPWD": directory,
	"PWD":    directory,
}

const (
	readOnly  = "is read-only in bash"
	dynamic   = "has a value that the shell makes itself"
	directory = "belongs to cd, and setting it has no defined effect"
	linked    = "changes which files the dynamic linker loads into every program"
)

// affecting are variables that can be set, but change how the shell itself or
// every program that it starts behaves. Of the names that begin with LD_, they are
// those that change which files the dynamic linker loads (ld.so(8)): the others are
// settings of builds as often as not.
var affecting = map[string]string{
	"BASH_COMPAT":     "changes how bash behaves",
	"BASH_ENV":        "names a file that every bash runs first",
	"BASH_XTRACEFD":   "changes where bash writes its trace",
	"CDPATH":          "changes where cd goes",
	"ENV":             "names a file that interactive shells run first",
	"GLOBIGNORE":      "changes which files a pattern of bash matches",
	"IFS":             "changes how the shell splits words",
	"LD_AUDIT":        linked,
	"LD_LIBRARY_PATH": linked,
	"LD_ORIGIN_PATH":  linked,
	"LD_PRELOAD":      linked,
	"PATH":            "changes where commands are found",
	"POSIXLY_CORRECT": "changes how bash and GNU tools behave",
	"PS4":             "is expanded by the shell for each line of set -x",
}

// Unsettable reports whether programs of package script leave a job's variable of this
// name alone. why completes the sentence "NAME ...".
func Unsettable(name string) (why string, ok bool) {
	why, ok = unsettable[name]
	return why, ok
}

// Affecting reports whether a job's variable of this name changes how its shell or the
// programs that it starts behave. why completes the sentence "NAME ...".
func Affecting(name string) (why string, ok bool) {
	why, ok = affecting[name]
	return why, ok
}

// UnsettableNames are the names for which [Unsettable] holds, sorted.
func UnsettableNames() []string { return slices.Sorted(maps.Keys(unsettable)) }
