package exec

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// fail makes res a failure that is not the script's own; one that was there
// before stays, with the new error's text added.
func fail(res *JobResult, err error) {
	if res.Status == StatusFailed || res.Status == StatusCanceled {
		res.Error += "; " + err.Error()
		return
	}
	res.Status, res.Class, res.Error = StatusFailed, ClassSystem, err.Error()
	var e *Error
	var p *panicError
	switch {
	case errors.As(err, &p):
		res.Help = "this is a defect of cic; please report it with the following lines\n" + string(p.stack)
	case errors.As(err, &e):
		if res.Help = e.Help; e.Class != "" {
			res.Class = e.Class
		}
		if e.Class == ClassCanceled {
			res.Status = StatusCanceled
		}
	}
	switch {
	case res.Help != "":
	case DiskFull(err):
		res.Help = "to make room: cic gc"
	case is(err, syscall.EMFILE):
		res.Help = "let cic open more files (ulimit -n), or run fewer jobs at once (--jobs)"
	}
}

// DiskFull reports whether there was no space left, for all or for this user.
func DiskFull(err error) bool { return is(err, syscall.ENOSPC) || is(err, syscall.EDQUOT) }

// is reports whether err comes from a system call that failed so. Of what
// containerd says only the text arrives.
func is(err error, number syscall.Errno) bool {
	return errors.Is(err, number) || strings.Contains(err.Error(), number.Error())
}

// exitText says what an exit code means.
func exitText(code int) string {
	text := "exit code " + strconv.Itoa(code)
	if meaning, ok := exitMeanings[code]; ok {
		text += " (" + meaning + ")"
	}
	return text
}

// exitMeanings are the codes that a shell gives a meaning of its own
// (POSIX.1-2017, Shell Command Language, 2.8.2), by the names of Linux's signals.
var exitMeanings = map[int]string{
	126: "a command could not be executed",
	127: "a command was not found",
	129: "SIGHUP",
	130: "SIGINT",
	131: "SIGQUIT",
	132: "SIGILL",
	134: "SIGABRT",
	135: "SIGBUS",
	136: "SIGFPE",
	137: "SIGKILL",
	139: "SIGSEGV",
	141: "SIGPIPE",
	143: "SIGTERM",
}

// joinQuoted lists names for a person.
func joinQuoted(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// panicError is a panic of a worker: a defect of cic, which must not take the
// other jobs' clean-up with it.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("internal error: %v", e.value)
}

// guard calls f and returns its panic as an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return f()
}

func isPanic(err error) bool {
	var p *panicError
	return errors.As(err, &p)
}
