package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// interrupted is the cause of a context that a signal cancelled.
type interrupted struct{ sig os.Signal }

func (i interrupted) Error() string { return "interrupted by " + i.name() }

func (i interrupted) name() string {
	switch i.sig {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	}
	return i.sig.String()
}

// exitCode is what a shell reports of a program that the signal ended.
func (i interrupted) exitCode() int {
	if s, ok := i.sig.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return 130
}

// onSignals cancels the context at the first SIGINT, SIGTERM or SIGHUP: an
// orderly stop. The second closes kill: everything ends at once. The third ends
// cic itself and leaves what is left to the next start. stop ends the watch.
func onSignals(parent context.Context, stderr io.Writer) (ctx context.Context, kill <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	killed := make(chan struct{})
	done := make(chan struct{})
	signals := make(chan os.Signal, 3)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// What the caller ignores (nohup, a shell's background job) stays ignored.
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	// A closed stdout (cic exec | head) must give a write error, which is dealt
	// with, and not end the process. Notify, unlike Ignore, is not inherited.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case sig := <-signals:
				cause := interrupted{sig}
				switch n {
				case 1:
					fmt.Fprintf(stderr, "cic: %s: stopping the jobs; again to kill them\n", cause.name())
					cancel(cause)
				case 2:
					fmt.Fprintf(stderr, "cic: %s: killing the jobs\n", cause.name())
					close(killed)
				default:
					os.Exit(cause.exitCode())
				}
			}
		}
	}()
	return ctx, killed, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(done)
		cancel(nil)
	}
}
