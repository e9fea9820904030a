// Package server is containerd and its runc shim inside cic's own binary, so that
// a machine needs neither installed. [Serve] is the daemon, [Shim] the process
// that containerd starts beside each container; both run in processes of their
// own, which package containerd starts.
//
// containerd promises no stable interface for the packages this is made of: a
// new version of the module may need changes here, and nowhere else.
//
// The package has content on Linux only.
package server
