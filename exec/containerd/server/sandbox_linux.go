package server

import (
	"context"
	"os"
	"sync/atomic"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A sandbox of containerd is here one shim for several containers, and nothing
// else: starting a shim takes more processor time than what runc does for a
// container.

// taskService is the shim's service for tasks.
type taskService struct {
	taskapi.TTRPCTaskService
	shared *atomic.Bool
}

// RegisterTTRPC is called by the shim as it starts.
func (s *taskService) RegisterTTRPC(server *ttrpc.Server) error {
	taskapi.RegisterTTRPCTaskService(server, s)
	return nil
}

// Shutdown follows the end of each container. The shim of a sandbox waits for the next.
func (s *taskService) Shutdown(ctx context.Context, r *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	if s.shared.Load() {
		return &emptypb.Empty{}, nil
	}
	return s.TTRPCTaskService.Shutdown(ctx, r)
}

// sandboxService makes the shim one of a sandbox, and ends it. What it does not
// implement, nothing in cic calls.
type sandboxService struct {
	shutter shutdown.Service
	shared  *atomic.Bool
}

// RegisterTTRPC is called by the shim as it starts.
func (s *sandboxService) RegisterTTRPC(server *ttrpc.Server) error {
	sandboxapi.RegisterTTRPCSandboxService(server, s)
	return nil
}

func (s *sandboxService) CreateSandbox(context.Context, *sandboxapi.CreateSandboxRequest) (*sandboxapi.CreateSandboxResponse, error) {
	s.shared.Store(true)
	return &sandboxapi.CreateSandboxResponse{}, nil
}

func (s *sandboxService) ShutdownSandbox(context.Context, *sandboxapi.ShutdownSandboxRequest) (*sandboxapi.ShutdownSandboxResponse, error) {
	s.shutter.Shutdown()
	return &sandboxapi.ShutdownSandboxResponse{}, nil
}

func (s *sandboxService) PingSandbox(context.Context, *sandboxapi.PingRequest) (*sandboxapi.PingResponse, error) {
	return &sandboxapi.PingResponse{}, nil
}

func (s *sandboxService) SandboxStatus(_ context.Context, r *sandboxapi.SandboxStatusRequest) (*sandboxapi.SandboxStatusResponse, error) {
	return &sandboxapi.SandboxStatusResponse{SandboxID: r.SandboxID, Pid: uint32(os.Getpid()), State: "SANDBOX_READY"}, nil
}

func (s *sandboxService) StartSandbox(context.Context, *sandboxapi.StartSandboxRequest) (*sandboxapi.StartSandboxResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}

func (s *sandboxService) Platform(context.Context, *sandboxapi.PlatformRequest) (*sandboxapi.PlatformResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}

func (s *sandboxService) StopSandbox(context.Context, *sandboxapi.StopSandboxRequest) (*sandboxapi.StopSandboxResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}

func (s *sandboxService) WaitSandbox(context.Context, *sandboxapi.WaitSandboxRequest) (*sandboxapi.WaitSandboxResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}

func (s *sandboxService) SandboxMetrics(context.Context, *sandboxapi.SandboxMetricsRequest) (*sandboxapi.SandboxMetricsResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}

func (s *sandboxService) UpdateSandbox(context.Context, *sandboxapi.UpdateSandboxRequest) (*sandboxapi.UpdateSandboxResponse, error) {
	return nil, errgrpc.ToGRPC(errdefs.ErrNotImplemented)
}
