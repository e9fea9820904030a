//go:build linux

package containerd

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const (
	// buildsDir is where [exec.Spec.Builds] is seen.
	buildsDir = "/builds"
	// programDir is where the programs of a job are seen. It is outside of the
	// project, so that no job finds files there that are not its own.
	programDir = "/.cic"
	// startFile is the program that prepares the start of another; see [startProgram].
	startFile = "start"
	// gitConfigFile holds [gitConfig], beside the programs.
	gitConfigFile = "gitconfig"

	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// ociVersion is one that crun 1.8 accepts too.
	ociVersion = "1.0.2"
)

// newSpec builds the OCI runtime specification of a job's container: without
// privileges but those that were granted, whatever the plan says.
func (r *Runtime) newSpec(job exec.Spec, img *image, program string) (*oci.Spec, error) {
	if img.linked != "" {
		return nil, configError("", "image %s: %s is a symbolic link, where cic mounts a directory of its own", familiar(img.name), img.linked)
	}
	user := job.Job.Image.User
	if user == "" {
		user = img.config.User
	}
	who, err := lookupAccount(user, img.passwd, img.group)
	if err != nil {
		return nil, configError("image:docker:user names a user of the image, or a number", "image %s cannot run as user %q: %w", familiar(img.name), user, err)
	}
	cwd, err := workingDir(img)
	if err != nil {
		return nil, err
	}
	ctx := namespaces.WithNamespace(context.Background(), Namespace)
	s, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: job.ID}, oci.WithDefaultUnixDevices)
	if err != nil {
		return nil, systemError("", fmt.Errorf("build a container specification: %w", err))
	}
	umask := uint32(0o022)
	s.Version = ociVersion
	s.Hostname = hostname(job.Services)
	s.Process.Args = processArgs(job.Job, img)
	s.Process.Cwd = cwd
	s.Process.Env = environment(img, who, job.Env)
	s.Process.User = specs.User{UID: who.uid, GID: who.gid, AdditionalGids: who.groups, Umask: &umask}
	// The limits of containerd itself apply, as with Docker; 1,024 files are too few for many builds.
	s.Process.Rlimits = nil
	if err := confine(s, job.Granted); err != nil {
		return nil, err
	}
	if job.UserNamespace {
		if err := r.setUserNamespace(s, img); err != nil {
			return nil, err
		}
	}
	// A group that it was told to make and cannot is an error to the OCI runtime.
	s.Linux.CgroupsPath = ""
	if limitable() {
		s.Linux.CgroupsPath = r.cgroupPath(job.ID)
	}
	if err := limit(s, r.enforceable(job.Limits)); err != nil {
		return nil, err
	}
	// As runc does by itself: with crun's default the workspace, which is mounted once
	// the container is there, would not be seen in it.
	s.Linux.RootfsPropagation = "rslave"
	// The image's own /run is kept, as with Docker.
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/run" })
	s.Mounts = append(s.Mounts, img.mounts...)
	s.Mounts = append(s.Mounts,
		specs.Mount{Type: "bind", Source: job.Builds, Destination: buildsDir, Options: []string{"rbind", "rslave", "rw"}},
		readOnlyBind(program, programDir))
	return s, nil
}

// processArgs is the image's entry point, with the start program as its
// arguments (specification 21): it must run them.
func processArgs(job *plan.Job, img *image) []string {
	return append(slices.Clone(entrypoint(job, img)), img.shell("sh"), path.Join(programDir, startFile))
}

// entrypoint is the program that stands before the job's own, with its arguments:
// that of the pipeline, or else the image's; nil if there is none.
func entrypoint(job *plan.Job, img *image) []string {
	args := img.config.Entrypoint
	if job.Image.Entrypoint != nil {
		args = literals(job.Image.Entrypoint)
	}
	if len(args) == 1 && args[0] == "" {
		return nil
	}
	return args
}

// literals are the words of a program, which holds no template any more.
func literals(words []plan.Text) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.Value
	}
	return list
}

// shell is the path of the wanted shell, sh or bash; of the other where the
// image lacks it, as GitLab's runner takes what there is: what made a script ask
// for bash, such as [[, often runs in busybox too. Empty if there is neither.
func (img *image) shell(want string) string {
	for _, name := range []string{want, "sh", "bash"} {
		if path := img.shells[name]; path != "" {
			return path
		}
	}
	return ""
}

// workingDir is where the entry point starts: the image's own directory, which
// the OCI runtime makes if it is missing. It cannot be the project, which is
// mounted later. A path through /proc could lead out (CVE-2024-21626).
func workingDir(img *image) (string, error) {
	dir := path.Join("/", img.config.WorkingDir)
	for _, forbidden := range []string{"/proc", "/sys", "/dev"} {
		if dir == forbidden || strings.HasPrefix(dir, forbidden+"/") {
			return "", configError("", "image %s wants to start in %s, which cic does not allow", familiar(img.name), img.config.WorkingDir)
		}
	}
	return dir, nil
}

// gitConfig lets git work in a project that belongs to another user than the
// job's: in a container that is the rule. It stands in for the image's own file.
// git obeys GIT_CONFIG_SYSTEM since 2.32.
const gitConfig = `[safe]
	directory = *
[include]
	path = /etc/gitconfig
	path = /usr/local/etc/gitconfig
`

// environment is the image's, completed with what it may lack, and over it the job's.
func environment(img *image, who account, job []string) []string {
	var env []string
	at := make(map[string]int)
	set := func(entries []string) {
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry, "=")
			if i, found := at[name]; found {
				env[i] = entry
				continue
			}
			at[name] = len(env)
			env = append(env, entry)
		}
	}
	set([]string{"PATH=" + defaultPath, "HOME=" + who.home, "GIT_CONFIG_SYSTEM=" + path.Join(programDir, gitConfigFile)})
	set(img.config.Env)
	set(job)
	return env
}
