package containerd

import (
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/cic-ci/cic/exec/userns"
)

// Namespace is the containerd namespace that holds everything of cic.
const Namespace = "cic"

// The values of [Config.Network].
const (
	NetworkBridge = "bridge"
	NetworkNone   = "none"
	NetworkHost   = "host"
)

// Config says which containerd to use, and how.
type Config struct {
	// Address is the socket of a containerd. If it is empty, the embedded one is used.
	Address string
	// StateDir is cic's state directory, an absolute path. The embedded containerd
	// keeps its images in its sub-directory containerd.
	StateDir string
	// Idle is how long the embedded containerd outlives its last user, to be there at
	// once for the next. With 0 it ends with the last.
	Idle time.Duration
	// StrictRuntime refuses a containerd or OCI runtime with known holes (see
	// [Advisories]), of which a run is only warned otherwise.
	StrictRuntime bool
	// RunID names the run, [A-Za-z0-9._-]. Without it, only the image store works.
	RunID string
	// RunDir is a directory of this run, for mount points and the host image. It is
	// the caller's to remove, after Close.
	RunDir string
	// Images redirect image references; the first that matches counts.
	Images []Mapping
	// Keychain has the credentials of registries; nil means those of Docker.
	Keychain authn.Keychain
	// CertDirs hold, for a registry each, a directory with its hosts.toml or its
	// certificates; nil means those of containerd and Docker in /etc.
	CertDirs []string
	// Network is what jobs see: "bridge" (the default when empty), a network of their
	// own from which they reach what the machine reaches; "none", their own loopback
	// and their services; "host", the machine's own network.
	Network string
	// Users has the ids of jobs in user namespaces ([exec.Spec.UserNamespace]), nil where
	// there are none. It must stay open until Close.
	Users *userns.Namespace
	// ServiceTimeout is how long services may take to be ready; 0 stands for GitLab's 30 s.
	ServiceTimeout time.Duration
	// Warn is told what a person should know. It may be nil, and is called concurrently.
	Warn func(msg string)
	// Progress is told of long steps, such as a pull. It may be nil, and is called concurrently.
	Progress func(msg string)
}

// ImageInfo is an image in the store.
type ImageInfo struct {
	// Name is the normalised reference.
	Name string
	// Digest is that of the manifest or index, "sha256:...".
	Digest string
	// Size is that of the compressed content for this machine, in bytes.
	Size int64
	// Mapped: it was read for a [Mapping], and has a name of the store's own.
	Mapped bool
}

// Console is where a person, or a program, uses a container.
type Console struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal: the command gets a terminal of its own, whose output is Stdout.
	Terminal bool
	// Size is that of the terminal at first, Resized brings each later one.
	Size    WindowSize
	Resized <-chan WindowSize
	// Note is told what services have to say.
	Note func(warning bool, text string)
}

// WindowSize is the size of a terminal in characters.
type WindowSize struct{ Columns, Rows uint32 }
