//go:build linux

package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec/workspace"
)

const (
	// secretsDir is where a job sees its secrets, beside its programs.
	secretsDir = programDir + "/secrets"
	// secretsEnv is the file there that sets environment variables. No secret's own
	// file can have this name, as it is no identifier.
	secretsEnv = "@env"
)

// secrets is the directory on the host that the container sees as [secretsDir].
func (s *sandbox) secrets() string { return filepath.Join(s.job.Scratch, "secrets") }

// mountSecrets makes the file system in memory that will hold the job's secrets.
// It is empty until the first program runs. containerd keeps the specification of
// a container, environment included, on the disk, so that they cannot be there.
func (s *sandbox) mountSecrets() error {
	if len(s.job.Secrets) == 0 {
		return nil
	}
	// runc does not make a mount point in what is mounted read-only.
	for _, dir := range []string{s.secrets(), filepath.Join(s.programs(), path.Base(secretsDir))} {
		if err := makeDir(dir, 0o700); err != nil {
			return err
		}
	}
	size := 0
	for _, secret := range s.job.Secrets {
		size += 5*len(secret.Value.Reveal()) + 2*os.Getpagesize() // once as a file, once quoted
	}
	options := fmt.Sprintf("mode=0700,size=%d,nr_inodes=%d", size+4*os.Getpagesize(), len(s.job.Secrets)+8)
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// Since Linux 6.4 a tmpfs can be kept from being swapped to a disk.
	err := unix.Mount("cic-secrets", s.secrets(), "tmpfs", flags, options+",noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("cic-secrets", s.secrets(), "tmpfs", flags, options)
	}
	if err != nil {
		return fmt.Errorf("mount a file system in memory for the job's secrets: %w", err)
	}
	return nil
}

// secretsMount shows them in the container.
func (s *sandbox) secretsMount() specs.Mount {
	return specs.Mount{Type: "bind", Source: s.secrets(), Destination: secretsDir,
		Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"}}
}

// writeSecrets puts the values where only the job's user reads them.
func (s *sandbox) writeSecrets() error {
	if len(s.job.Secrets) == 0 {
		return nil
	}
	uid, gid := s.hostIDs(s.spec.Process.User.UID, s.spec.Process.User.GID)
	if err := os.Chown(s.secrets(), uid, gid); err != nil {
		return err
	}
	var env bytes.Buffer
	for _, secret := range s.job.Secrets {
		value := secret.Value.Reveal()
		if !isIdentifier(secret.Name) || strings.Contains(value, "\x00") {
			return fmt.Errorf("secret %q cannot be a variable", secret.Name)
		}
		if secret.File {
			if err := s.writeSecret(secret.Name, []byte(value)); err != nil {
				return err
			}
			value = path.Join(secretsDir, secret.Name)
		}
		fmt.Fprintf(&env, "export %s=%s\n", secret.Name, singleQuoted(value))
	}
	return s.writeSecret(secretsEnv, env.Bytes())
}

func (s *sandbox) writeSecret(name string, data []byte) error {
	file := filepath.Join(s.secrets(), name)
	if err := errors.Join(removeFile(file), writeFile(file, data, 0o400)); err != nil {
		return err
	}
	uid, gid := s.hostIDs(s.spec.Process.User.UID, s.spec.Process.User.GID)
	return os.Chown(file, uid, gid)
}

// removeSecrets removes the values, wherever their file system is still mounted.
func (s *sandbox) removeSecrets() error {
	if len(s.job.Secrets) == 0 {
		return nil
	}
	entries, err := os.ReadDir(s.secrets())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, removeFile(filepath.Join(s.secrets(), e.Name())))
	}
	return errors.Join(append(errs, workspace.UnmountAll(s.secrets()))...)
}
