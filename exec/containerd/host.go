//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
)

// hostEtc is what the host image shows of the host's /etc: what programs need to
// start and to speak TLS. No accounts, and no keys, which is why /etc/ssl is not
// shown as a whole.
var hostEtc = []string{
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
}

// hostFiles are the host image's own files in /etc.
var hostFiles = map[string]string{
	"passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
	"group":         "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
	"hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

// hostImage makes an empty root file system with the host's programs: /usr, /bin,
// /sbin and /lib*, all read-only.
func (r *Runtime) hostImage(name string) (*image, error) {
	dir := filepath.Join(r.imageDir(), "host")
	img := &image{name: name, lower: dir}
	if err := makeHostTree(dir, img); err != nil {
		return nil, systemError("", fmt.Errorf("make the host image: %w", err))
	}
	root, err := os.Open("/")
	if err != nil {
		return nil, systemError("", err)
	}
	defer root.Close()
	if img.shells, err = findShells(root, nil); err != nil {
		return nil, systemError("", fmt.Errorf("look for shells: %w", err))
	}
	img.passwd, img.group = hostFiles["passwd"], hostFiles["group"]
	return img, nil
}

func makeHostTree(dir string, img *image) error {
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{
		{"", 0o755}, {"etc", 0o755}, {"root", 0o700}, {"run", 0o755}, {"tmp", fs.ModeSticky | 0o777},
		{"var", 0o755}, {"var/tmp", fs.ModeSticky | 0o777}, {"usr", 0o755},
	} {
		if err := makeDir(filepath.Join(dir, d.path), d.mode); err != nil {
			return err
		}
	}
	for name, text := range hostFiles {
		if err := writeFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	programs := []string{"/usr"}
	for _, pattern := range []string{"/bin", "/sbin", "/lib*"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		programs = append(programs, matches...)
	}
	for _, path := range programs {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			img.mounts = append(img.mounts, readOnlyBind(path, path))
		case info.Mode()&fs.ModeSymlink != 0:
			// As on systems where /bin is /usr/bin.
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, filepath.Join(dir, path)); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	for _, path := range hostEtc {
		if _, err := os.Stat(path); err == nil {
			img.mounts = append(img.mounts, readOnlyBind(path, path))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rootfsImage uses a directory of the host as an image; it is only read.
func rootfsImage(name, dir string) (*image, error) {
	img := &image{name: name, lower: dir}
	if err := img.inspect(dir); err != nil {
		return nil, &exec.Error{
			Class: exec.ClassImagePull,
			Help:  "the image mapping leads to rootfs:" + dir,
			Err:   fmt.Errorf("use a directory as image %s: %w", familiar(name), err),
		}
	}
	return img, nil
}

// readOnlyBind shows a path of the host in a container.
func readOnlyBind(source, destination string) specs.Mount {
	return specs.Mount{
		Type: "bind", Source: source, Destination: destination,
		Options: []string{"bind", "ro", "nosuid", "nodev"},
	}
}

// overlayOption escapes a path for the options of an overlay mount, in which
// colons separate layers and commas options.
func overlayOption(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
}
