package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/userns"
	"github.com/cic-ci/cic/plan"
)

func keyFlag() cli.Flag {
	return &cli.StringFlag{Name: "key", Usage: "refuse a plan that plan.json.sig does not sign with the public key of `FILE`, as of cosign sign-blob or openssl dgst -sign"}
}

// verify checks the plan's signature, if a key is given.
func verify(c *cli.Context, d *plan.Dir) error {
	name := c.String("key")
	if name == "" {
		return nil
	}
	key, err := readRegular(name)
	if err != nil {
		return fail(exitInvalid, err)
	}
	var bad *plan.SignatureError
	switch err := d.Verify(key); {
	case errors.As(err, &bad):
		return fail(exitIntegrity, err)
	case err != nil:
		return fail(exitInvalid, fmt.Errorf("--key %s: %w", name, err))
	}
	return nil
}

// warnUntrusted warns of a plan that others than the user who runs it can have written:
// it is carried out with that user's rights.
func warnUntrusted(c *cli.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fail(exitInvalid, err)
	}
	paths := []string{filepath.Dir(path), path}
	if info.IsDir() {
		paths = []string{path, filepath.Join(path, "plan.json")}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fail(exitInvalid, err)
		}
		who := writers(info.Mode())
		if owner, ok := ownerOf(info); ok && who == "" && os.Geteuid() == 0 && !userns.Entered() {
			who = stranger(owner, os.Getenv("SUDO_UID"))
		}
		if who != "" {
			warner(c.App.ErrWriter)(fmt.Sprintf("%s can change %s: run the plan only if you trust what it holds", who, filepath.ToSlash(path)))
			return nil
		}
	}
	return nil
}

// writers says who can write to a file, or replace the files of a directory, whoever
// they are; empty for those alone who are meant to. In a directory like /tmp only the
// owner of a file can replace it.
func writers(mode fs.FileMode) string {
	if mode.Perm()&0o002 == 0 || mode.IsDir() && mode&fs.ModeSticky != 0 {
		return ""
	}
	return "every user of this machine"
}

// stranger says who an owner is to root, empty if it is root, or the user who became
// root by sudo.
func stranger(owner uint32, sudo string) string {
	if owner == 0 || strconv.FormatUint(uint64(owner), 10) == sudo {
		return ""
	}
	return fmt.Sprintf("another user (uid %d)", owner)
}
