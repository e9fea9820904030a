package script

import "strings"

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
)

// affecting are variables that can be set, but change how the shell itself or
// every program that it starts behaves.
var affecting = map[string]string{
	"BASH_COMPAT":     "changes how bash behaves",
	"BASH_ENV":        "names a file that every bash runs first",
	"BASH_XTRACEFD":   "changes where bash writes its trace",
	"CDPATH":          "changes where cd goes",
	"ENV":             "names a file that interactive shells run first",
	"GLOBIGNORE":      "changes which files a pattern of bash matches",
	"IFS":             "changes how the shell splits words",
	"PATH":            "changes where commands are found",
	"POSIXLY_CORRECT": "changes how bash and GNU tools behave",
	"PS4":             "is expanded by the shell for each line of set -x",
}

// SpecialVariable tells whether a job's variable of this name does more than a
// value in the environment does, or less: set reports whether programs of
// [Generate] set it at all. why completes the sentence "NAME ..." and is for a
// warning; ok is false for an ordinary name.
func SpecialVariable(name string) (why string, set, ok bool) {
	if why, ok := unsettable[name]; ok {
		return why, false, true
	}
	if why, ok := affecting[name]; ok {
		return why, true, true
	}
	if strings.HasPrefix(name, "LD_") {
		return "changes how the dynamic linker loads every program", true, true
	}
	return "", true, false
}
