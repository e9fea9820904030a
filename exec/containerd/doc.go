// Package containerd is the [exec.Runtime] on containerd.
//
// [Open] connects to the containerd inside cic, which it starts if need be
// (daemon.go, spawn.go) as a process of its own (serve.go), or to one that was
// asked for; and keeps an eye on it (connect.go). [Runtime.Setup] resolves a job's image (resolve.go, pull.go,
// store.go, host.go), builds an OCI specification from it (spec.go), and creates
// a container with its task, all of which can happen while the jobs it depends on
// still run; starting the script is what is left for the critical path (task.go).
//
// Everything lives in containerd's namespace "cic", under one lease a run, with
// labels that name run and job, so that [Runtime.Sweep] finds what a killed run left.
//
// The package works on Linux; elsewhere it builds, and Open says so.
package containerd
