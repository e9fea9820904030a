package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/runc"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
)

// Shim is the main function of containerd-shim-runc-v2. It reads the arguments of
// the process, and ends the process on an error.
func Shim() {
	// The shim loads all plugins that there are: those of the daemon are not for it.
	registry.Reset()
	var shared atomic.Bool
	register("task", func(ctx context.Context, publisher shim.Publisher, shutter shutdown.Service) (any, error) {
		tasks, err := task.NewTaskService(ctx, publisher, shutter)
		return &taskService{TTRPCTaskService: tasks, shared: &shared}, err
	})
	register("sandbox", func(_ context.Context, _ shim.Publisher, shutter shutdown.Service) (any, error) {
		return &sandboxService{shutter: shutter, shared: &shared}, nil
	})
	shim.RunShim(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}

// register makes one of the shim's services known.
func register(id string, service func(context.Context, shim.Publisher, shutdown.Service) (any, error)) {
	registry.Register(&plugin.Registration{
		Type:     plugins.TTRPCPlugin,
		ID:       id,
		Requires: []plugin.Type{plugins.EventPlugin, plugins.InternalPlugin},
		InitFn: func(ic *plugin.InitContext) (any, error) {
			publisher, err := ic.GetByID(plugins.EventPlugin, "publisher")
			if err != nil {
				return nil, err
			}
			shutter, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
			if err != nil {
				return nil, err
			}
			return service(ic.Context, publisher.(shim.Publisher), shutter.(shutdown.Service))
		},
	})
}

// ExitRecord reads what the shim wrote about the end of a container's first
// process. bundle is the container's directory in the state of containerd.
func ExitRecord(bundle string) (code uint32, at time.Time, err error) {
	exit, err := runc.ReadExitStatus(bundle)
	return uint32(exit.Status), exit.Timestamp, err
}
