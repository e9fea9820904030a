// Package containerd is the [exec.Runtime] on containerd.
package containerd

import (
	_ "github.com/containerd/containerd/v2/client"
	_ "github.com/containerd/containerd/v2/core/images/archive"
	_ "github.com/containerd/containerd/v2/core/leases"
	_ "github.com/containerd/containerd/v2/core/remotes/docker"
	_ "github.com/containerd/containerd/v2/pkg/cio"
	_ "github.com/containerd/containerd/v2/pkg/namespaces"
	_ "github.com/containerd/containerd/v2/pkg/oci"
	_ "github.com/containerd/containerd/v2/pkg/reference"
	_ "github.com/containerd/containerd/v2/contrib/seccomp"
	_ "github.com/containerd/errdefs"
	_ "github.com/containerd/typeurl/v2"
	_ "github.com/containerd/platforms"
	_ "github.com/containerd/log"
	_ "github.com/distribution/reference"
	_ "github.com/google/go-containerregistry/pkg/authn"
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "github.com/google/go-containerregistry/pkg/v1/layout"
	_ "github.com/opencontainers/image-spec/specs-go/v1"
	_ "github.com/opencontainers/runtime-spec/specs-go"
	_ "github.com/opencontainers/go-digest"
	_ "golang.org/x/sys/unix"
)
