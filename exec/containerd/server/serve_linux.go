package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/cmd/containerd/server"
	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/version"
	"github.com/containerd/log"
)

// Config says where a containerd keeps its files.
type Config struct {
	// Root holds images and metadata.
	Root string
	// State holds what is only true until the next boot, the shims' sockets
	// included: at most 40 bytes long.
	State string
	// Socket is the address of the gRPC service; that for the shims is beside it.
	Socket string
}

// Version is that of the containerd inside, such as "2.4.2".
func Version() string {
	v, _, _ := strings.Cut(version.Version, "+")
	return v
}

// Serve runs a containerd until ctx is done. Tasks go on running then: the next
// containerd with the same directories takes them over. It logs to standard error.
func Serve(ctx context.Context, cfg Config) error {
	// Each container would write half a dozen lines of information.
	if err := log.SetLevel("warn"); err != nil {
		return err
	}
	c := configuration(cfg)
	if err := server.CreateTopLevelDirectories(c); err != nil {
		return err
	}
	if err := mount.SetTempMountLocation(filepath.Join(cfg.Root, "tmpmounts")); err != nil {
		return fmt.Errorf("place for temporary mounts: %w", err)
	}
	// Those of a containerd that was killed. Warnings are about mounts that stay; they
	// harm nobody.
	if _, err := mount.CleanupTempMounts(0); err != nil {
		log.G(ctx).WithError(err).Warn("unmount temporary mounts")
	}
	s, err := server.New(ctx, c)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.Start(ctx); err != nil {
		return err
	}
	s.Wait()
	<-ctx.Done()
	return nil
}

// configuration is what containerd would read from its file.
func configuration(cfg Config) *config.Config {
	return &config.Config{
		Version: version.ConfigVersion,
		Root:    cfg.Root,
		State:   cfg.State,
		// Nobody reads metrics or traces, and a TCP port is never opened.
		DisabledPlugins: []string{
			"io.containerd.metrics.v1.grpc-otel", "io.containerd.metrics.v1.grpc-prometheus", "io.containerd.server.v1.grpc-tcp",
		},
		// Without one of these containerd would start, and not be able to run a container.
		RequiredPlugins: []string{
			"io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt", "io.containerd.runtime.v2.task",
			"io.containerd.server.v1.grpc", "io.containerd.server.v1.ttrpc",
		},
		Plugins: map[string]any{
			"io.containerd.server.v1.grpc":  map[string]any{"address": cfg.Socket},
			"io.containerd.server.v1.ttrpc": map[string]any{"address": cfg.Socket + ".ttrpc"},
			"io.containerd.shim.v1.manager": map[string]any{"socket_dir": filepath.Join(cfg.State, "s")},
		},
	}
}
