//go:build linux

package containerd

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// openFiles is how many files containerd and all that it starts may open, jobs
	// among them: it outlives the shell that it was started from, and serves others.
	openFiles = 1 << 16
	// spareFiles are kept for cic itself, filesOfJob for each job that may run: that
	// is what two containers take in the shim, whose limit is no higher than cic's
	// where root lacks CAP_SYS_RESOURCE. A job's may still be there when the next begins.
	spareFiles = 64
	filesOfJob = 24
)

// setOpenFiles sets how many files this process and its children may open: the limits
// of the shell do not count, but for a hard one that must not be raised. Go has
// raised the soft one for this process already, and for this process alone.
func setOpenFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	limit.Cur, limit.Max = openFiles, max(limit.Max, openFiles)
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if errors.Is(err, unix.EPERM) {
		if err = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
			limit.Cur = limit.Max
			err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		}
	}
	if err != nil {
		return fmt.Errorf("allow for %d open files: %w", openFiles, err)
	}
	return nil
}

// MostJobs is how many jobs can run at once with the files that this process may
// open, which is maxFiles: more would fail in the middle, and their clean-up too.
func MostJobs() (jobs, maxFiles int, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0, systemError("", fmt.Errorf("limit of open files: %w", err))
	}
	maxFiles = int(min(limit.Max, openFiles)) // no system call opens more than 2^31 files
	return max(0, maxFiles-spareFiles) / filesOfJob, maxFiles, nil
}

// requireFiles refuses to begin where not even one job can run.
func requireFiles() error {
	jobs, files, err := MostJobs()
	if err == nil && jobs == 0 {
		err = systemError("let cic open more files: ulimit -n 1024",
			fmt.Errorf("this process may open only %d files at once, and running a job takes %d", files, spareFiles+filesOfJob))
	}
	return err
}
